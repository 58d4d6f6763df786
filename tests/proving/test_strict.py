"""Today's reasoning models refuse fields that every model took before: every shipped recipe, and the sentences where one is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.cli import app
from alpaca_pipe.core.completion import Completion
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import shipped
from alpaca_pipe.recipe.schema import load_recipe
from tests.proving.start import Proving, proving
from tests.proving.test_as_they_answer import Run, whole

NAMES = sorted(path.stem for path in shipped("recipes").glob("*.yaml"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proving]:
    books = tmp_path_factory.mktemp("strict") / "books.sqlite"
    with proving(books, batch_seconds=0.1, strict=True) as running:
        yield running


@pytest.fixture
def run(server: Proving, tmp_path: Path) -> Run:
    return Run(tmp_path, server).anew()


def asked_of_openai() -> list[str]:
    """The shipped recipes whose teacher is at OpenAI, with what `plan` knows of their tables alone."""
    found = []
    for name in NAMES:
        teacher: Any = load_recipe(name, CATALOG).tables.get("teacher")
        if teacher is not None and teacher.host == "api.openai.com":
            found.append(name)
    return found


@pytest.mark.parametrize("name", asked_of_openai())
def test_each_shipped_recipe_sends_what_a_strict_model_takes(
    name: str, server: Proving, tmp_path: Path
) -> None:
    before = server.state()["faults"]
    teacher: Any = load_recipe(name, CATALOG).tables["teacher"]
    words = [
        f"teacher.base_url={server.url}",
        "teacher.price={in: 0.1, out: 0.5}",
        "teacher.renames={max_tokens: max_completion_tokens}",  # as at OpenAI's own address
        "generate.count=8",
        "generate.round_size=4",
        "generate.max_requests=4",
        "teacher.concurrency=4",
        *(["teacher.poll=0.1"] if teacher.by_batch else []),
    ]
    assert teacher.renamed_fields["max_tokens"] == "max_completion_tokens"
    answer = CliRunner().invoke(
        app, ["run", name, "--until", "generate", "--runs", str(tmp_path / "runs"), *words]
    )
    assert "does not take" not in answer.output and "refuse" not in answer.output, answer.output
    assert server.state()["faults"] == before, "a field was refused"
    assert (tmp_path / "runs" / "ledger.sqlite").exists(), answer.output


def test_a_limit_under_its_old_name_is_learned_from_the_first_refusal(run: Run) -> None:
    run.fields = {"extra_body": {"reasoning_effort": "none"}}
    assert len(whole(*run.ask("One.", "Two.", "Three.", temperature=0.7))) == 3
    assert run.kinds().count("released") == 1 and run.kinds().count("settled") == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", 0.7), ("top_p", 0.9), ("logprobs", True), ("stop", ["20."])],
)
def test_a_field_that_a_reasoning_model_refuses_stops_the_run_by_its_name(
    run: Run, field: str, value: Any
) -> None:
    run.fields = {"renames": {"max_tokens": "max_completion_tokens"}}
    (error,) = run.ask("One.", **{field: value})
    assert isinstance(error, UserError) and f"does not take '{field}'" in error.what
    assert "teacher.refuses" in error.cure and "reasoning_effort" in error.cure
    assert run.kinds() == ["reserved", "released"]


def test_a_field_that_is_left_out_by_the_recipe_is_not_sent(run: Run) -> None:
    run.fields = {
        "renames": {"max_tokens": "max_completion_tokens"},
        "refuses": ("temperature",),
        "on_unsupported": "drop",
    }
    (reply,) = run.ask("One.", temperature=0.7)
    assert isinstance(reply, Completion) and reply.finish == "stop"
