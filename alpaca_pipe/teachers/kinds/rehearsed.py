"""kind: rehearsed"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from alpaca_pipe.core.config_table import AnyPath, ExistingPath, Knob
from alpaca_pipe.core.files import file_digest
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.teachers.batching import BatchFileKeys
from alpaca_pipe.teachers.config import ExpectedPace, TeacherTable
from alpaca_pipe.teachers.own_server import OwnServerTable

if TYPE_CHECKING:
    from alpaca_pipe.teachers.local.child_process import Child


class RehearsedTable(BatchFileKeys, OwnServerTable):
    """Our own scripted server on this machine, for tests and `--rehearse`: free, and priced on paper."""

    kind: Literal["rehearsed"]
    lines: ExistingPath | None = Field(
        None,
        description="JSONL of recorded replies or of conversations (`messages`), each turn of which is said where it was said; "
        "default the built-in script",
    )
    delay: Annotated[float, Knob()] = Field(0.0, ge=0, description="seconds before each reply")
    served: Annotated[AnyPath | None, Knob()] = Field(
        None,
        description="file to which the server appends a line for each request that it answered",
    )
    batch: Annotated[bool, Knob()] = Field(
        False, description="asked by files and batches, as openai_batch"
    )

    @property
    def recorded(self) -> bool:
        return self.lines is not None

    @property
    def author(self) -> str:
        """Never the model whose name and price it goes by."""
        return (
            f"recorded replies of {self.called}"
            if self.lines
            else f"a script in place of {self.called}"
        )

    @property
    def by_batch(self) -> bool:
        return self.batch

    def online(self) -> TeacherTable:
        return self.model_copy(update={"batch": False}) if self.batch else self

    def whom(self) -> dict[str, Any]:
        script = f"lines {file_digest(self.lines)}" if self.lines else "script 2"
        return {"rehearsed": script, "asked": self.dialect, "model": self.model}

    def expected_pace(self) -> ExpectedPace:
        return ExpectedPace(first=(0.015 + self.delay, 0.3), speed=(1e6, 0.1), grade=0.02)

    def brings(self) -> tuple[Ingredient, ...]:
        return ()

    def rehearsed(self) -> TeacherTable:  # type: ignore[override]
        """Recorded `lines` answer the recipe in full size only."""
        return self.model_copy(update={"lines": None})

    def own_server(self, log: Path) -> AbstractAsyncContextManager[Child]:
        from alpaca_pipe.teachers.scripted.scripted_teacher import rehearsed_server

        return rehearsed_server(
            lines=self.lines, delay=self.delay, served=self.served, port=self.port, log=log
        )
