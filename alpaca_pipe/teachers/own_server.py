"""What every teacher has that we serve ourselves, on this machine and for as long as it is asked."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from alpaca_pipe.core.config_table import Knob
from alpaca_pipe.teachers.base import Dialect, Speaks
from alpaca_pipe.teachers.config import TeacherTable

if TYPE_CHECKING:
    from alpaca_pipe.teachers.local.child_process import Child


class OwnServerTable(TeacherTable):
    """Keys of every server of our own."""

    dialect: Speaks = Field(
        "chat", description="chat; completions only continues a text, for style alpaca-2023"
    )
    port: Annotated[int | None, Knob()] = Field(
        None, ge=1, le=65535, description="port of our server; default any free one"
    )

    @abstractmethod
    def own_server(self, log: Path) -> AbstractAsyncContextManager[Child]: ...

    def protocol(self) -> Dialect:
        from alpaca_pipe.teachers.openai.chat_dialect import CHAT
        from alpaca_pipe.teachers.openai.completions_dialect import COMPLETIONS

        return CHAT if self.dialect == "chat" else COMPLETIONS
