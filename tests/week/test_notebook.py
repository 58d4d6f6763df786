"""The manual's page on Python, cell by cell in a real Jupyter kernel: there an event loop is running already."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alpaca_pipe.start.folder import begin
from tests.notebook import Kernel

pytest.importorskip("ipykernel", reason="ipykernel is not installed")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.chdir(tmp_path)
    begin("vet", "a clinic")
    monkeypatch.chdir(tmp_path / "vet")
    kernel = Kernel(tmp_path / "vet")
    assert kernel.run("import sys; print(sys.executable)").strip() == sys.executable
    yield kernel
    kernel.end()


def test_the_pages_cells_run_as_they_stand(kernel: Kernel) -> None:
    plan, asynchronous = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    said = kernel.run(asynchronous)
    assert re.search(r"generate \d+/\d+ [\w ]+ \$", said) and "curate" in said
    kernel.run("assert result.ran == ('generate', 'curate'), result.ran")
    # the first cell would ask a paid teacher: it is rehearsed, and its last line wants a checkpoint
    first = plan.replace('until="curate")', 'until="curate", rehearse=True)').replace(
        "{'budget.api': 'fits'}", ""
    )
    said = kernel.run("\n".join(line for line in first.splitlines() if "render(" not in line))
    assert "'budget.api': 'fits'" in said and "generate run" in said
