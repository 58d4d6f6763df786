"""Each kind of teacher is one module, found by its folder: what every one of them must have to be asked, planned and rehearsed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import UserErrors
from alpaca_pipe.core.registry import modules
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.report.compare_runs import _changes
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.endpoint import EndpointTable
from alpaca_pipe.teachers.kinds.rehearsed import RehearsedTable
from alpaca_pipe.weights.known import SMOLLM2

KINDS = modules(TeacherTable.folder)


def one_of(kind: str) -> TeacherTable:
    model = SMOLLM2.name if kind == "local_server" else "gpt-4o-mini"
    return TeacherTable.model_validate(
        {"kind": kind, "model": model, "price": {"in": 1, "out": 2}, "refuses": ("seed",)}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_all_that_it_is_asked_planned_and_rehearsed_by(kind: str) -> None:
    table = one_of(kind)
    assert table.kind == kind and (table.__doc__ or "").strip()
    dialect = table.protocol()
    assert table.speaks == dialect.speaks and table.takes and "seed" not in table.takes
    request = Request((PromptMessage("user", "One?"),), {"max_tokens": 5})
    body = dialect.body("m", request, {"max_tokens": 5})
    assert "One?" in str(body) and dialect.path("m").startswith("/")
    assert not dialect.is_reply({}) and not dialect.is_reply(None)
    pace = table.expected_pace()
    assert all(figure > 0 for figure in (*pace.first, *pace.speed, pace.grade))
    whom = table.identity()
    assert whom["without"] == ["seed"] and len(whom) > 1
    assert TeacherTable.model_validate(table.model_dump(by_alias=True)).identity() == whom
    assert table.priced().mode == table.mode
    assert (table.host is None) == (table.address == "") == (not isinstance(table, EndpointTable))
    assert not table.online().by_batch and table.online().identity() == whom


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_rehearsed_in_its_dialect_at_its_pace_and_price(kind: str) -> None:
    table = one_of(kind)
    script = table.rehearsed()
    assert isinstance(script, RehearsedTable) and script.by_batch == table.by_batch
    assert (script.speaks, script.called, script.price) == (table.speaks, table.called, table.price)
    assert script.refuses == table.refuses and script.concurrency == table.concurrency


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_of_the_script_is_read_by_every_chat_dialect_of_openai(kind: str) -> None:
    dialect = one_of(kind).protocol()
    choice = {"message": {"content": "Two."}, "text": "Two.", "finish_reason": "stop"}
    reply = {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    if not dialect.path("m").endswith("completions"):
        pytest.skip("a dialect of its own, with tests of its own")
    assert dialect.is_reply(reply)
    said = dialect.completion(reply, "k", {})
    assert isinstance(said, Completion) and (said.text, said.usage.tokens_in) == ("Two.", 3)


def test_only_the_kind_that_is_asked_is_imported() -> None:
    """What `plan` waits for: not the tables of all the others."""
    code = (
        "import sys; from alpaca_pipe.teachers.config import TeacherTable as T;"
        "T.model_validate({'kind': 'openai_chat', 'model': 'm'});"
        "print([m for m in sys.modules if m.startswith('alpaca_pipe.teachers.kinds.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['alpaca_pipe.teachers.kinds.openai_chat']"


@pytest.mark.parametrize(
    ("teacher", "sentence"),
    [
        ("model: m", ":3: teacher.kind: this key is missing - add 'kind:'"),
        (
            "kind: openai\n  model: m",
            f":4: teacher.kind: should be {', '.join(map(repr, KINDS[:2]))}",
        ),
        (
            "kind: openai_chat\n  model: m\n  poll: 5",
            (
                ":6: teacher.poll: a teacher of kind openai_chat has no 'poll' - "
                "remove it, or use kind: anthropic_batch or openai_batch or rehearsed"
            ),
        ),
        (
            "kind: openai_batch\n  model: m\n  windo: 1h",
            ":6: teacher.windo: unknown key - did you mean 'window'?",
        ),
        (
            "kind: openai_batch\n  model: m\n  poll: 0",
            ":6: teacher.poll: should be greater than 0, not 0",
        ),
    ],
)
@pytest.mark.parametrize("judge", [False, True])
def test_a_wrong_key_is_told_in_a_sentence_at_its_line(
    teacher: str, sentence: str, judge: bool, tmp_path: Path
) -> None:
    table = f"teacher:\n  {teacher}\n"
    head = "generate:\n  count: 5\n"
    if judge:
        indented = table.replace("\n  ", "\n      ")
        text = f"curate:\n  grade:\n    {indented}"
        sentence = sentence.replace("teacher.", "curate.grade.teacher.", 1)
    else:
        text = head + table
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(UserErrors) as caught:
        load_recipe(str(tmp_path / "r.yaml"), CATALOG, complete=False)
    assert sentence in str(caught.value) and len(caught.value.errors) == 1


def test_what_another_kind_has_by_default_says_nothing(tmp_path: Path) -> None:
    """So a recipe may unset what it extends, and another kind may be named on the command line."""
    (tmp_path / "r.yaml").write_text(
        "teacher: {kind: openai_chat, model: m, window: 24h, lines: null, batch: false}\n"
    )
    table = load_recipe(str(tmp_path / "r.yaml"), CATALOG, complete=False).tables["teacher"]
    assert "window" not in table.model_dump() and table.identity()["model"] == "m"


def test_runs_of_before_and_after_are_compared_by_what_their_teacher_has() -> None:
    before = {"teacher": {"kind": "openai_chat", "model": "m", "window": "24h", "lines": None}}
    after = {"teacher": {"kind": "openai_chat", "model": "n"}}
    assert [change.key for change in _changes(before, after)] == ["teacher.model"]
