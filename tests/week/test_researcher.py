"""The researcher's week: own prompt, own filter, few passages; then in a notebook a sweep with seeds that is stopped and goes on, one
table as LaTeX, and a row with its cents. Real commands, real runs, a real Jupyter kernel.

The lines build on each other, so they are tests in an order, over one folder.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest

from alpaca_pipe.core.files import read_json, read_jsonl
from alpaca_pipe.data.run_names import history
from tests.command import command, told
from tests.notebook import Kernel
from tests.waiting import until
from tests.week.books import in_dollars, in_doubt, replies, settled

pytest.importorskip("trl")

NOTES = (
    "The clinic opens at eight in the morning and closes at six in the evening. Dogs are vaccinated on Mondays and cats on "
    "Tuesdays. A first visit costs forty euros, a second visit twenty. Doctor Meier looks after horses.\n\n"
    "Animals that had surgery stay for one night. Owners may call at nine to hear how they are. Food is given twice a day. Bring "
    "the vaccination card and the insurance papers, and come ten minutes early. Parking is behind the house.\n"
)
RECIPE = """teacher: {kind: rehearsed, model: gpt-4.1-nano, served: served.jsonl}
budget: {api: 1}
base: {model: tiny}
gpu: {per_hour: 0}
generate: {count: 40, round_size: 8, prompt: mine.j2}
curate: {held_out: 12, filters: [mine.py:too_long]}
train: {max_steps: 2, max_length: 1500, control: none, lora: {r: 2}, template: mine.jinja}
evaluate: {samples: 0}
sweep:
  grid: {train.learning_rate: [1e-3, 1e-2]}
  seeds: [1, 2]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("researcher")
    (folder / "notes.md").write_text(NOTES)
    (folder / "mine.j2").write_text("{{ prompt }}\nNo task is about money.")
    (folder / "mine.py").write_text(
        "def too_long(row):\n    return 'long' if len(row['output']) > 400 else None\n\ndef broken(row):\n    return 7\n"
    )
    (folder / "mine.jinja").write_text(
        "Q: {{ instruction }}{% if input %} ({{ input }}){% endif %} A: {{ output }}"
    )
    (folder / "lab.yaml").write_text(RECIPE)
    (folder / "few.yaml").write_text(
        "teacher: {kind: rehearsed, model: gpt-4.1-nano}\n"
        "generate: {style: documents, documents: [notes.md], passage: 60, count: 256, round_size: 8}\n"
    )
    return folder


def asked(lab: Path) -> Counter[str]:
    """How often the teacher's server answered each question."""
    file = lab / "served.jsonl"
    return Counter(row["asked"] for row in read_jsonl(file)) if file.exists() else Counter()


def test_few_passages_promise_little_and_the_forecast_is_near_what_comes(lab: Path) -> None:
    done = command("run", "few", cwd=lab)
    assert done.code == 0, done.err
    said = " ".join((done.err + done.out).split())
    first = said.partition("forecast after 24 prompts")[2].partition("forecast again")[0]
    found = re.search(
        r"2 passages mostly give no more than about (\d+) rows, and 256 are wanted", first
    )
    assert found, said
    (rows,) = (lab / "runs" / "store").glob("generate-*/examples.jsonl")
    assert sum(1 for _ in read_jsonl(rows)) <= int(found[1]) < 512


@pytest.fixture(scope="module")
def notebook(lab: Path) -> Iterator[Kernel]:
    pytest.importorskip(
        "ipykernel", reason="ipykernel is not installed (the extra `dev` brings it)"
    )
    kernel = Kernel(lab)
    kernel.run(
        "from alpaca_pipe import UserError, load_examples, plan_async, render, run, run_async\n"
        "heard = []\n"
        "def show(at):\n"
        "    heard.append(at)\n"
        "    if at.total: print(f'{at.stage} {at.done}/{at.total} {at.unit}', flush=True)\n"
    )
    yield kernel
    kernel.end()


def test_the_notebook_plans_the_whole_sweep_and_says_what_is_wrong(
    notebook: Kernel, lab: Path
) -> None:
    before = asked(lab)
    notebook.run("found = await plan_async('lab.yaml')")
    stages = notebook.value("[step.stage for step in found.steps]")
    assert (stages.count("generate"), stages.count("curate"), stages.count("train")) == (1, 1, 4)
    assert notebook.value("found.budget['budget.api']") == "fits"
    assert notebook.value("[found.dollars.p10 <= found.dollars.p50 <= found.dollars.p90]") == [True]
    said = notebook.run(
        "try: await plan_async('lab.yaml', {'generate.prompt': 'nowhere.j2'})\n"
        "except UserError as error: print(error.what, '-', error.cure)"
    )
    assert "nowhere.j2" in said and " - " in said
    assert asked(lab) == before and not (lab / "runs" / "lab").exists()


def test_the_square_button_stops_the_sweep_in_order(notebook: Kernel, lab: Path) -> None:
    slowly = "{'teacher.delay': 3, 'teacher.concurrency': 2}"
    had = replies(lab)
    notebook.begin(f"await run_async('lab.yaml', {slowly}, progress=show)")
    notebook.until("generate 0/40")
    until(lambda: replies(lab) > had)
    notebook.interrupt()
    fault, said = notebook.ended()
    assert fault in ("KeyboardInterrupt", "CancelledError"), said
    assert in_doubt(lab) == 0
    (stopped,) = history(lab / "runs", "lab")  # and no other point was begun
    assert (stopped["outcome"], stopped["cause"]) == ("stopped", "person")


def test_the_same_cell_makes_the_rows_once_and_each_point_its_tune(
    notebook: Kernel, lab: Path
) -> None:
    before = settled(lab)
    said = notebook.run("result = await run_async('lab.yaml', progress=show)")
    assert re.search(r"generate \d+/40 ", said) and re.search(r"train \d+/2 ", said)
    assert notebook.value("result.ran") == ["generate", "curate", "train", "evaluate"]
    assert notebook.value("sorted({at.stage for at in heard if at.sentence})")
    finished = [run for run in history(lab / "runs", "lab") if run["outcome"] == "done"]
    tunes = {run["steps"]["train"] for run in finished if "train" in run["steps"]}
    rows = {run["steps"]["generate"] for run in finished}
    assert len(tunes) == 4 and len(rows) == 1
    nanodollars = notebook.value("int(result.dollars * 10**9)")
    assert nanodollars == settled(lab) - before > 0  # exactly, and without what was stored before
    assert all(times == 1 for times in asked(lab).values())


def test_a_second_run_does_nothing(notebook: Kernel, lab: Path) -> None:
    before = asked(lab), settled(lab), history(lab / "runs", "lab")
    notebook.run("again = await run_async('lab.yaml')")
    assert notebook.value("[again.ran, str(again.dollars)]") == [[], "0"]
    assert (asked(lab), settled(lab), history(lab / "runs", "lab")) == before


def test_one_table_in_the_notebook_and_as_latex(notebook: Kernel, lab: Path) -> None:
    told_csv = "subprocess.run([sys.executable, '-m', 'alpaca_pipe', 'compare', 'lab', '--format', 'csv'], capture_output=True, text=True, check=True).stdout"
    notebook.run(
        f"import io, subprocess, sys, pandas\ntable = pandas.read_csv(io.StringIO({told_csv}))"
    )
    found = notebook.value("dict(zip(table['train.learning_rate'], table['held-out loss mean']))")
    measured: dict[str, list[float]] = {}
    for run in history(lab / "runs", "lab"):
        if run["outcome"] == "done":
            done = read_json(lab / "runs" / "store" / run["steps"]["evaluate"] / "done.json")
            rate = str(run["config"]["train"]["learning_rate"])
            measured.setdefault(rate, []).append(done["summary"]["loss"]["tuned"]["mean"])
    assert found == {rate: pytest.approx(fmean(two)) for rate, two in measured.items()}
    table = told("compare", "lab", "--format", "latex", cwd=lab)
    assert r"\begin{tabular}" in table and r"\pm" in table


def test_one_row_and_its_cents_from_the_notebook_to_the_report(notebook: Kernel, lab: Path) -> None:
    notebook.run("row = load_examples(result.examples)[0]")
    id, output = notebook.value("[row.id, row.output]")
    road = told("trace", id, cwd=lab)
    assert output.split("\n")[0] in road
    (request,) = re.findall(r"^request (r1-\w+)", road, re.MULTILINE)
    (cost,) = re.findall(r"settled \S+ \(([\d,]+) nano-dollars\)", road)
    assert int(cost.replace(",", "")) == settled(lab, request) > 0
    text = notebook.value("render(row, result.folders['train'] / 'model').text")
    assert "Q: " in text and " A: " in text and output in text
    mine = sum(settled(lab, run=run["run"]) for run in history(lab / "runs", "lab"))
    books = json.loads(told("ledger", "show", "lab", "--json", cwd=lab))
    assert books["total"]["nanodollars"]["settled"] == mine
    page = notebook.value("result.report.read_text()")
    (shown,) = re.findall(r"<dt>dollars</dt><dd>(\$[\d.]+)", page)
    assert shown == in_dollars(mine, shown)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("curate.filters=[mine.py:broken]", "mine.py:broken answered 7"),
        ("generate.prompt=nowhere.j2", "no such file"),
        ("train.template=chatlm", "chatml"),
        ("sweep.grid={train.lerning_rate: [1]}", "lerning_rate"),
    ],
)
def test_what_is_wrong_with_an_own_piece_is_a_sentence(lab: Path, change: str, said: str) -> None:
    done = command("run", "lab", "--until", "curate", change, cwd=lab)
    assert done.code == 2 and said in " ".join(done.err.split()), done.err
    assert "Traceback" not in done.err


def test_a_changed_filter_asks_nothing(notebook: Kernel, lab: Path) -> None:
    (lab / "mine.py").write_text(
        "def too_long(row):\n    return 'long' if len(row['output']) > 300 else None\n"
    )
    before = len(list((lab / "runs" / "store").glob("generate-*"))), asked(lab)
    notebook.run("other = run('lab.yaml', until='curate')")  # a loop is running here, too
    assert notebook.value("[other.ran, str(other.dollars)]") == [["curate"], "0"]
    assert (len(list((lab / "runs" / "store").glob("generate-*"))), asked(lab)) == before
