"""Machines for the tests of packing: each a folder with a recipe of toy stages, a workspace and a cache of its own."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.ledger.budget import BudgetTable
from alpaca_pipe.ledger.entries import Attempt, LedgerEntry, Totals
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.pack.export_recipe import Packed, pack
from alpaca_pipe.pack.export_results import pack_results
from alpaca_pipe.pack.import_recipe import arrive, refuse_unasked
from alpaca_pipe.pack.import_results import come_home
from alpaca_pipe.pack.manifest import ResultsPack, opened
from alpaca_pipe.pack.unpacking import Unpacked
from alpaca_pipe.recipe.plan import steps_of
from alpaca_pipe.recipe.runner import run
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.recipe.stage import Catalog
from alpaca_pipe.recipe.workspace import Workspace
from tests.ledger.rows import MINI
from tests.recipe import toy

sow, reap, sell = toy.CATALOG.stages
CATALOG = Catalog(
    (sow, replace(reap, on_gpu=True), sell),
    {**toy.CATALOG.tables, "gpu": GpuTable, "budget": BudgetTable},
)
RECIPE = """# a field
name: field
budget: {total: 10, api: 4}
gpu: {per_hour: 18, lease_start: gpu}
sow: {count: 4, share: 0.25, source: notes}
reap: {}
sell: {}
"""
GREETING = Request((PromptMessage("user", "Good morning."),), {"max_tokens": 20})


@dataclass(frozen=True)
class Place:
    folder: Path
    name: str = "field"

    @classmethod
    def home(cls, folder: Path) -> Place:
        (folder / "notes" / "deep").mkdir(parents=True)
        (folder / "notes" / "deep" / "räkna.md").write_text("Ett, två.")
        (folder / "notes" / ".env").write_text("OPENAI_API_KEY=sk-secretsecretsecret")
        (folder / "field.yaml").write_text(RECIPE)
        return cls(folder)

    @classmethod
    def away(cls, folder: Path) -> Place:
        folder.mkdir()
        return cls(folder)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "runs")

    @contextmanager
    def at(self) -> Iterator[None]:
        before, where = os.environ.get("ALPACA_PIPE_CACHE"), Path.cwd()
        os.environ["ALPACA_PIPE_CACHE"] = str(self.folder / "cache")
        os.environ.setdefault("TOY_COUNTS", os.devnull)
        os.chdir(self.folder)
        try:
            yield
        finally:
            os.chdir(where)
            if before is None:
                del os.environ["ALPACA_PIPE_CACHE"]
            else:
                os.environ["ALPACA_PIPE_CACHE"] = before

    def run(self, *overrides: str, **options: Any) -> str:
        console = Console(file=io.StringIO(), width=300)
        with self.at():
            run(
                load_recipe("field.yaml", CATALOG, overrides),
                CATALOG,
                self.workspace,
                console,
                **options,
            )
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    def pack(self, stage: str = "reap", overrides: tuple[str, ...] = (), **options: Any) -> Packed:
        with self.at():
            done = pack(
                load_recipe("field.yaml", CATALOG, overrides),
                CATALOG,
                self.workspace,
                stage,
                print,
                **options,
            )
            return replace(done, file=done.file.absolute())

    def results(self, **options: Any) -> Packed:
        with self.at():
            done = pack_results("field", self.workspace, print, **options)
            return replace(done, file=done.file.absolute())

    def unpack(self, file: Path, into: Path | None = None) -> Unpacked:
        with self.at():
            found = opened(file)
            if isinstance(found, ResultsPack):
                return come_home(file, found, self.workspace, print)
            return arrive(
                file, found, CATALOG, self.workspace, into or self.folder, print, refuse_unasked
            )

    def verdicts(self) -> dict[str, str]:
        with self.at():
            steps = steps_of(load_recipe("field.yaml", CATALOG), CATALOG, self.workspace)
        return {step.stage.kind: step.verdict for step in steps}

    def totals(self, recipe: str | None = "field") -> Totals:
        with self.at(), Journal.open(self.workspace.ledger) as journal:
            journal.check()
            return journal.totals(recipe)

    def entries(self) -> list[LedgerEntry]:
        with self.at(), Journal.open(self.workspace.ledger) as journal:
            return list(journal.entries())

    def ask(self, text: str, dollars: float) -> object:
        """A paid request of the recipe, under all its caps."""
        with self.at(), Journal.open(self.workspace.ledger) as journal:
            caps = self.workspace.caps(load_recipe("field.yaml", CATALOG))
            cost = round(dollars * NANO)
            got = journal.reserve(
                f"r1-{text}", cost, MINI, caps, recipe="field", run=f"run-{text}", stage="sow"
            ).result()
            if isinstance(got, Attempt):
                journal.settle(
                    got,
                    Completion(text, "stop", Usage(1, 0, 0, 1)),
                    cost,
                    request=GREETING,
                    teacher={},
                ).result()
            return got
