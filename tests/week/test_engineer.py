"""The engineer's week: own rows in a CSV, a template of the house, a tune, a GGUF file, a server, OpenAI's client. Real processes.

The lines build on each other, so they are tests in an order, over one folder.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import command, told
from tests.serve.conftest import served

pytest.importorskip("trl")
pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.slow

TEMPLATE = "Desk of the depot.\nGuest: {{ instruction }}\nDesk: {{ output }}\n"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engineer")
    with (folder / "tickets.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["Customer Question", "Agent Reply"])
        for n in range(48):
            name = "".join("abcdefghij"[int(digit)] for digit in f"{n * 7919:06d}")
            rows.writerow(
                [
                    f"When does the tram to {name} leave?",
                    f"The tram to {name} leaves at {n % 12 + 6}.",
                ]
            )
    (folder / "mine.jinja").write_text(TEMPLATE)
    (folder / "desk.yaml").write_text(
        "base: {model: tiny}\ngpu: {per_hour: 0}\n"
        "curate: {from: tickets.csv, held_out: 12, filters: none, likeness: 0.99}\n"
        "train: {template: mine.jinja, max_steps: 4, max_length: 600, control: none}\n"
        "evaluate: {samples: 0}\nexport: {gguf: [f16]}\n"
    )
    return folder


def test_a_wrong_template_costs_nothing(desk: Path) -> None:
    (desk / "bad.jinja").write_text("{% include 'x' %}{{ instruction }}{{ output }}")
    for words in (("plan", "desk"), ("run", "desk")):
        done = command(*words, "train.template=bad.jinja", cwd=desk)
        assert done.code == 2 and "bad.jinja:1: it reads another file" in done.err
        assert "Traceback" not in done.err
    assert not list((desk / "runs").glob("store/train-*"))


def test_plan_counts_the_rows_and_a_rehearsal_goes_to_the_end(desk: Path) -> None:
    assert "about 48 rows" in " ".join(told("plan", "desk", "-v", cwd=desk).split())
    assert "a rehearsal: $0.00 was spent" in told("run", "desk", "--rehearse", cwd=desk)


def test_it_is_tuned_and_exported(desk: Path) -> None:
    done = command("run", "desk", cwd=desk)
    assert done.code == 0, done.err
    assert "model-f16.gguf" in done.out + done.err and "verdict" in done.out


def test_the_mask_is_the_own_template(desk: Path) -> None:
    said = told("show-mask", "desk", cwd=desk)
    assert "Desk of the depot.\nGuest: When does" in said and "⟦The tram to" in said


def test_what_is_shipped_asks_with_it_when_the_file_is_gone(desk: Path) -> None:
    (desk / "mine.jinja").unlink()
    (model,) = (desk / "runs" / "store").glob("export-*/merged")
    note = json.loads((model / "template.json").read_text())
    assert (
        note["template"] == "mine.jinja"
        and "Desk of the depot." in (model / "chat_template.jinja").read_text()
    )
    (gguf,) = (desk / "runs" / "store").glob("export-*/**/*f16.gguf")
    assert "Desk of the depot." in (gguf.parent / "Modelfile").read_text()
    import openai

    question: Any = [{"role": "user", "content": "When does the tram to abc leave?"}]
    with served(str(gguf)) as (url, _):
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        (name, *_) = [one.id for one in client.models.list()]
        answer = client.chat.completions.create(
            model=name, messages=question, temperature=0, max_tokens=8
        )
    asked = len("<") + len(b"Desk of the depot.\nGuest: When does the tram to abc leave?\nDesk: ")
    assert (
        answer.usage is not None and answer.usage.prompt_tokens == asked
    )  # a token a byte, and BOS
    assert answer.usage.completion_tokens > 0
