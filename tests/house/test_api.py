"""The Python API: it loads nothing until it is used, goes the commands' way, and renders what training reads."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

import alpaca_pipe
from alpaca_pipe import (
    Example,
    Rendered,
    Result,
    RunProgress,
    UserError,
    load_examples,
    plan,
    plan_async,
    render,
    run,
    run_async,
)
from alpaca_pipe.cli import app
from alpaca_pipe.core.example import Origin
from alpaca_pipe.data.own_files import history_of
from tests.road.drive import RECIPE


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "road.yaml"
    path.write_text(RECIPE)
    return path


def test_importing_it_loads_nothing_of_ours_and_nothing_heavy() -> None:
    code = (
        "import sys, alpaca_pipe\n"
        "assert [name for name in sys.modules if name.startswith('alpaca_pipe')] == ['alpaca_pipe']\n"
        "assert not {'pydantic', 'rich', 'torch', 'typer'} & set(sys.modules)\n"
        "assert set(alpaca_pipe.__all__) < set(dir(alpaca_pipe))\n"
        "import alpaca_pipe.api\n"
        "assert not {'pydantic', 'rich', 'torch', 'transformers', 'openai'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there_and_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
    for name in alpaca_pipe.__all__:
        assert getattr(alpaca_pipe, name).__doc__, name
        assert f"`{name}" in page, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        alpaca_pipe.nothing  # noqa: B018


def test_plan_says_what_the_command_says(recipe: Path) -> None:
    runs = recipe.parent / "runs"
    found = plan(recipe, {"generate.count": 50}, runs=runs)
    printed = json.loads(
        CliRunner()
        .invoke(app, ["plan", str(recipe), "generate.count=50", "--runs", str(runs), "--json"])
        .stdout
    )
    assert [(step.stage, step.verdict) for step in found.steps] == [
        (row["stage"], row["verdict"]) for row in printed["steps"]
    ]
    for name, value in (
        ("minutes", found.minutes),
        ("tokens_out", found.tokens_out),
        ("dollars", found.dollars),
    ):
        assert (
            printed["total"][name]
            == [round(value.p10, 4), round(value.p50, 4), round(value.p90, 4)]
            and value.p50 > 0
        )
    assert not runs.exists()


def test_it_works_inside_a_running_event_loop(recipe: Path) -> None:
    """As in a notebook: generation has an event loop of its own."""

    async def cell() -> tuple[Result, list[RunProgress], int]:
        heard: list[RunProgress] = []
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        runs = recipe.parent / "runs"
        await run_async(recipe, {"generate.count": 10}, runs=runs, until="generate")
        meanwhile, _ = beats, beating.cancel()
        found = await plan_async(recipe, {"generate.count": 10}, runs=runs)
        assert found.steps[0].verdict == "up to date"
        done = run(recipe, {"generate.count": 10}, runs=runs, until="curate", progress=heard.append)
        return done, heard, meanwhile

    done, heard, beats = asyncio.run(cell())
    assert done.ran == ("curate",) and beats > 100
    assert {one.stage for one in heard} >= {"generate", "curate"}
    assert any(one.sentence for one in heard)
    counted = [one for one in heard if one.stage == "curate" and one.total]
    assert counted and counted[-1].unit and counted[-1].done <= counted[-1].total


def test_a_cancelled_task_ends_in_order_and_goes_on(recipe: Path) -> None:
    runs = recipe.parent / "runs"
    wanted = {"generate.count": 400, "teacher.delay": 0.05, "teacher.concurrency": 2}

    async def cell() -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hear(progress: RunProgress) -> None:
            if progress.total:
                loop.call_soon_threadsafe(begun.set)

        task = asyncio.create_task(
            run_async(recipe, wanted, runs=runs, until="generate", progress=hear)
        )
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cell())
    assert history_of(runs / "road" / "history.jsonl")[-1]["outcome"] == "stopped"
    assert run(recipe, wanted, runs=runs, until="generate").ran == ("generate",)


def test_a_listener_that_fails_ends_nothing(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(progress: RunProgress) -> None:
        raise RuntimeError("no screen")

    runs = recipe.parent / "runs"
    done = run(recipe, ["generate.count=10"], runs=runs, until="generate", progress=fail, show=True)
    assert done.ran == ("generate",)
    assert capsys.readouterr().out.count("RuntimeError('no screen')") == 1


def test_run_goes_the_commands_way(recipe: Path) -> None:
    runs = recipe.parent / "runs"
    first = run(str(recipe), ["generate.count=10"], runs=runs, until="curate")
    assert first.ran == ("generate", "curate") and first.dollars > 0 and first.model is None
    assert first.report and first.report.is_file()
    assert (
        first.examples
        and len(load_examples(first.examples)) == first.summaries["curate"]["kept"] >= 10
    )
    again = CliRunner().invoke(
        app, ["run", str(recipe), "generate.count=10", "--until", "curate", "--runs", str(runs)]
    )
    assert again.exit_code == 0 and again.stdout.count("up to date") == 2
    same = run(recipe, {"generate.count": 10}, runs=runs, until="curate")
    assert same.ran == () and same.dollars == Decimal(0) and same.folders == first.folders


def test_a_mistake_is_the_commands_sentence(recipe: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"override 'generate.cuont=1': generate.cuont: unknown key - did you mean 'count'\?",
    ):
        plan(recipe, {"generate.cuont": 1})
    with pytest.raises(UserError, match="no such file or folder"):
        load_examples(recipe.parent / "gone.json")


def test_rows_of_any_form_and_our_own_with_their_origin(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("instruction,output\nName a herb.,Thyme.\n")
    row = load_examples(tmp_path / "rows.csv")[0]
    assert (row.instruction, row.output, row.origin.kind) == ("Name a herb.", "Thyme.", "imported")
    mine = Example.of("Name a herb.", "", "Sage.", Origin("generated", "r1-1", ("e1-seed",)))
    (tmp_path / "examples.jsonl").write_text(json.dumps(mine.to_row()) + "\n")
    assert load_examples(tmp_path / "examples.jsonl") == [mine]


def test_render_is_what_training_reads(tmp_path: Path) -> None:
    from alpaca_pipe.models.loss_mask import Encoder
    from alpaca_pipe.models.saved_template import save_template
    from alpaca_pipe.models.templates import TEMPLATES
    from alpaca_pipe.weights.tiny import byte_tokenizer

    example = Example.of("Add the numbers.", "2, 3", "5", Origin("seed"))
    words = byte_tokenizer()
    found = render(example, words)
    wanted = next(Encoder(words, TEMPLATES["alpaca"]).encode([example], 1000))
    assert isinstance(wanted, tuple)
    assert (found.ids, found.mask) == (wanted[0].ids, wanted[0].mask)
    assert found.text.endswith("### Response:\n5</s>") and "### Input:\n2, 3" in found.text
    assert words.decode(found.prompt_ids).endswith("### Response:\n") and isinstance(
        found, Rendered
    )
    save_template(tmp_path / "model", Encoder(words, TEMPLATES["alpaca-2023"]))
    assert render(example, tmp_path / "model").text.endswith("### Response:5</s>")
    assert render(example, words, "chat").text.endswith("assistant: 5</s>")
    with pytest.raises(UserError, match="did you mean 'alpaca'"):
        render(example, words, "alpacca")
    own = tmp_path / "mine.jinja"
    own.write_text("Task: {{ instruction }}\nAnswer: {{ output }}\n")
    for named in (own, str(own)):  # "there is no template" of a file was said of its path
        assert render(example, words, named).text.startswith("<s>Task: Add the numbers.")
