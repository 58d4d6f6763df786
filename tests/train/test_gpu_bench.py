"""The bench that is run on a rented GPU runs whole on a CPU, on a tiny shape, before anybody pays for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("trl")

from tests.bench import gpu_7b, table


def test_it_runs_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Path(os.environ.get("ALPACA_PIPE_DATA", "../shared/data"))
    if not (data / "alpaca_data.json.gz").is_file():
        pytest.skip("the released 52K is not here: set ALPACA_PIPE_DATA")
    monkeypatch.setattr(table, "ROOT", tmp_path)
    found = gpu_7b.main(["--tiny", "--seconds", "0", "--who", "full,lora,lora-fp8,padded"])
    assert [line["who"] for line in found] == ["full", "lora", "lora-fp8", "padded"]
    assert all(line["real tokens/s"] > 0 for line in found)
    assert (tmp_path / "runs" / "bench" / "gpu_7b.json").is_file()
