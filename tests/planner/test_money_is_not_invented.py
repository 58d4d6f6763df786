"""Money is never invented: a case each of what was booked, promised or hidden before."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tarfile
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.data.source_size import rows_expected
from alpaca_pipe.ledger.machine import detect
from alpaca_pipe.ledger.machine.config import GpuTable, terms
from alpaca_pipe.ledger.machine.planned_machine import idle_gpus
from alpaca_pipe.ledger.money import NANO
from tests.command import command, told

DAY = date(2026, 11, 21)
H100 = GpuTable(name="H100", provider="runpod")


def found(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    gpus = tuple(detect.DetectedGpu(name, f"GPU-{n}", 350.0) for n, name in enumerate(names))
    monkeypatch.setattr(detect, "gpus", lambda: gpus)


def test_minutes_of_a_machine_without_the_named_gpu_are_not_booked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found(monkeypatch)
    here = terms(H100, DAY, on_gpu=True)
    assert (here.per_hour, here.class_, here.rate) == (0, "machine", None)
    assert "no H100 is found here" in here.says and "gpu.per_hour" in here.says


def test_a_price_of_its_own_is_booked_whatever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch)
    own = H100.model_copy(update={"per_hour": Decimal(2), "count": 2})
    assert terms(own, DAY, on_gpu=True).per_hour == 4 * NANO


def test_another_gpu_than_the_named_one_is_billed_at_its_own_price(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found(monkeypatch, "NVIDIA GeForce RTX 4090")
    here = terms(H100.model_copy(update={"count": 8}), DAY, on_gpu=True)
    assert here.name == "1 x RTX4090" and "no H100" in here.says
    own = GpuTable(name="RTX4090", provider="runpod")
    assert 0 < here.per_hour == terms(own, DAY, on_gpu=True).per_hour
    nobody = H100.model_copy(update={"provider": "nowhere"})  # who does not let this GPU
    assert terms(nobody, DAY, on_gpu=True).per_hour == terms(GpuTable(), DAY, on_gpu=True).per_hour


def test_the_named_gpu_is_billed_where_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, "NVIDIA H100 80GB HBM3")
    here = terms(H100, DAY, on_gpu=True)
    assert here.class_ == "gpu" and here.per_hour > NANO and "found here" not in here.says


def test_a_run_on_a_laptop_books_nothing_of_the_rented_gpu(tmp_path: Path) -> None:
    rows(tmp_path)
    recipe(tmp_path, gpu="{name: H100, provider: runpod, count: 8}")
    done = command("run", "r.yaml", "--until", "curate", cwd=tmp_path)
    assert done.code == 0, done.err
    assert all(
        row["nanodollars"]["settled"] == 0
        for row in [json.loads(told("ledger", "show", "r", "--json", cwd=tmp_path))["total"]]
    )


def test_eight_gpus_rented_and_one_used_is_said_with_its_cost(tmp_path: Path) -> None:
    rows(tmp_path)
    recipe(tmp_path, gpu="{name: H100, per_hour: 2, count: 8}")
    said = " ".join(told("plan", "r.yaml", "-v", cwd=tmp_path).split())
    assert (
        "8 GPUs are billed and train.processes uses 1: 7 of them idle, $14.00 of $16.00 an hour"
        in said
    )
    assert idle_gpus(2, 4, 0) == "2 GPUs are billed (gpu.count), and train.processes uses 4"


def test_a_rehearsal_says_in_its_first_lines_that_no_budget_is_tried(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "teacher: {kind: openai_chat, model: gpt-6-luna, extra_body: {reasoning_effort: none}}\n"
        "generate: {count: 300}\nbudget: {api: 0.000001}\n"
    )
    done = command("run", "r.yaml", "--rehearse", cwd=tmp_path)
    assert done.code == 0, done.err
    first = (done.err or done.out).splitlines()[:2]
    assert any("no budget is tried on it" in line for line in first), first


def test_scripted_drafts_are_nobodys_and_their_money_is_simulated(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(
        "The clinic opens at eight in the morning. Dogs are vaccinated on Mondays and cats on Tuesdays. A first visit costs "
        "forty euros, a second visit twenty. Doctor Meier looks after horses, and doctor Klein after birds.\n"
    )
    command("init", "vet", "--domain", "clinic", cwd=tmp_path)
    file = tmp_path / "vet" / "vet.yaml"
    text = file.read_text().replace("kind: openai_chat", "kind: rehearsed")
    file.write_text(text.replace("  extra_body", "  # extra_body"))
    said = command(
        "seeds", "draft", "vet", "--from", "notes.md", "--want", "2", "--yes", cwd=tmp_path
    )
    assert said.code == 0, said.err
    assert "to a script in place of gpt-6-luna" in said.out + said.err
    assert "simulated" in said.out + said.err
    assert "a script in place of gpt-6-luna" in (tmp_path / "vet" / "seeds.csv").read_text()
    books = json.loads(told("ledger", "show", "vet", "--json", cwd=tmp_path))
    assert books["simulated_nanodollars"] == books["total"]["nanodollars"]["settled"] > 0


def plan(name: str, folder: Path, *overrides: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(told("plan", name, *overrides, "--json", cwd=folder))
    return answer


def test_by_batch_is_cheaper_than_online_and_no_gpu_waits_for_batches(tmp_path: Path) -> None:
    batch, online = plan("alpaca-52k", tmp_path), plan("alpaca-52k-online", tmp_path)
    assert money(batch) < money(online)
    (made,) = [step for step in batch["steps"] if step["stage"] == "generate"]
    assert made["estimate"]["gpu"] == [0, 0, 0] and made["estimate"]["minutes"][1] > 60
    waits = " ".join(told("plan", "alpaca-52k", "-v", "gpu.lease_start=run", cwd=tmp_path).split())
    assert "which do not use the GPU" in waits and "gpu.lease_start=gpu" in waits


def money(told: dict[str, Any]) -> float:
    return float(
        sum(step["estimate"]["api"][1] + step["estimate"]["gpu"][1] for step in told["steps"])
    )


@pytest.mark.parametrize(
    "ending",
    ["jsonl", "jsonl.gz", "jsonl.bz2", "jsonl.xz", "json", "json.gz", "csv.gz", "zip", "tar.gz"],
)
def test_rows_of_a_packed_file_are_counted(tmp_path: Path, ending: str) -> None:
    lines = [
        {"instruction": f"Task {n}", "input": "", "output": "word " * (n % 9 + 1)}
        for n in range(700)
    ]
    text = "\n".join(map(json.dumps, lines)).encode()
    if ending.startswith("json") and not ending.startswith("jsonl"):
        text = json.dumps(lines, indent=2).encode()
    if ending.startswith("csv"):
        text = b"instruction,output\n" + b"".join(b'"Task %d","a\nb"\n' % n for n in range(700))
    file = tmp_path / f"rows.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as box:
            box.writestr("a/rows.jsonl", text)
    elif ending == "tar.gz":
        (tmp_path / "rows").write_bytes(text)
        with tarfile.open(file, "w:gz") as tape:
            tape.add(tmp_path / "rows", "rows.jsonl")
    else:
        packs = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
        file.write_bytes(packs.get(ending.rpartition(".")[2], bytes)(text))
    assert rows_expected(file) == 700


def test_a_parquet_file_says_how_many_it_holds(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"instruction": ["a"] * 321}), tmp_path / "r.parquet")
    assert rows_expected(tmp_path / "r.parquet") == 321


def test_the_released_52k_packed(data: Path) -> None:
    assert rows_expected(data / "alpaca_data.json.gz") == 52_002


def rows(folder: Path) -> None:
    with (folder / "rows.jsonl").open("w") as stream:
        for n in range(40):
            stream.write(
                json.dumps(
                    {
                        "instruction": f"{'abcdefgh'[n % 8] * (n + 3)} {n * n}",
                        "output": f"{n} words",
                    }
                )
                + "\n"
            )


def recipe(folder: Path, gpu: str) -> None:
    (folder / "r.yaml").write_text(
        f"base: {{model: tiny}}\ngpu: {gpu}\ncurate: {{from: rows.jsonl, held_out: 4, filters: none}}\ntrain: {{max_steps: 2}}\n"
    )


def test_another_gpu_of_the_named_provider_is_billed_as_that_provider_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found(monkeypatch, "NVIDIA H200")
    here = terms(H100, DAY, on_gpu=True)
    own = terms(GpuTable(name="H200", provider="runpod"), DAY, on_gpu=True)
    assert here.name == "1 x H200" and here.per_hour == own.per_hour


def test_of_a_folder_the_files_that_are_read_are_counted(tmp_path: Path) -> None:
    for name, many in (("train", 100), ("test", 900)):
        lines = [f'{{"instruction": "{name} {n}?", "output": "so"}}\n' for n in range(many)]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    (tmp_path / "README.md").write_text("words " * 9000)
    assert rows_expected(tmp_path, split="train") == 100
    assert rows_expected(tmp_path, split="test") == 900
