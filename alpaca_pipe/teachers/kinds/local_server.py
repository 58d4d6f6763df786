"""kind: local_server"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from alpaca_pipe.core.config_table import Knob, from_recipe
from alpaca_pipe.teachers.config import ExpectedPace
from alpaca_pipe.teachers.openai.extra_fields import ExtraBody
from alpaca_pipe.teachers.own_server import OwnServerTable
from alpaca_pipe.weights.gguf import gguf_digest
from alpaca_pipe.weights.known import KNOWN

if TYPE_CHECKING:
    from alpaca_pipe.teachers.local.child_process import Child

# Fields of llama.cpp's own that its chat and completion routes take beside OpenAI's.
_TAKES_BESIDES = frozenset({"top_k", "min_p", "repeat_penalty"})


class LocalServerTable(OwnServerTable):
    """A GGUF file on this machine, served by llama.cpp while it is needed. Its tokens are free."""

    also: ClassVar[Mapping[str, str]] = {
        "context_length": "context",
    }

    kind: Literal["local_server"]
    model: str = Field(min_length=1, description="a known weight, or the path of a GGUF")
    context: int = Field(
        4096, ge=256, description="tokens a request and its reply may have together"
    )
    extra_body: ExtraBody = Field({})
    threads: Annotated[int | None, Knob()] = Field(
        None, ge=1, description="default all cores but one"
    )

    @field_validator("price", mode="before")
    @classmethod
    def _own_model_is_free(cls, price: Any) -> Any:
        return "free" if price is None else price

    @field_validator("model")
    @classmethod
    def _gguf_is_there(cls, model: str, info: ValidationInfo) -> str:
        if model in KNOWN:
            return model
        path = from_recipe(model, info)
        if not path.is_file():
            raise ValueError(
                f"no such GGUF file: {path} - give its path, or one of the known weights: "
                f"{', '.join(KNOWN)}"
            )
        with path.open("rb") as stream:
            magic = stream.read(4)
        if magic != b"GGUF":
            raise ValueError(
                f"not a GGUF file: {path} - give the path of a model in llama.cpp's format"
            )
        return str(path)

    @property
    def called(self) -> str:
        return Path(self.model).name

    @property
    def added_fields(self) -> Mapping[str, Any]:
        return self.extra_body

    @property
    def takes(self) -> frozenset[str]:
        return (self.protocol().takes | _TAKES_BESIDES) - set(self.refuses)

    def whom(self) -> dict[str, Any]:
        return {"gguf": gguf_digest(self.model), "asked": self.dialect, "context": self.context}

    def expected_pace(self) -> ExpectedPace:
        """Measured: SmolLM2-135M on 2 cores, prompts included; other machines and models differ."""
        return ExpectedPace(first=(0.05, 0.5), speed=(38, 0.35), shared=True, start=4.0, grade=6.0)

    def own_server(self, log: Path) -> AbstractAsyncContextManager[Child]:
        from alpaca_pipe.teachers.local.llama_server import local_server
        from alpaca_pipe.weights.gguf import open_gguf

        return local_server(
            open_gguf(self.model),
            name=self.called,
            parallel=self.concurrency,
            context=self.context,
            port=self.port,
            threads=self.threads,
            log=log,
        )
