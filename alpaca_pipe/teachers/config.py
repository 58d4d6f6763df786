"""The recipe's table `teacher:` - whom we ask, how fast, and at which price."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator

from alpaca_pipe.core.config_table import AnyPath, ExistingPath, Knob, Table, from_recipe
from alpaca_pipe.core.files import file_digest
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.core.secrets import LOOKS_LIKE_A_KEY
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.budget import USUAL_TIERS
from alpaca_pipe.ledger.pricing.end_of_life import Ending, ending_of
from alpaca_pipe.ledger.pricing.token_prices import Mode, Price, PriceTable, price_of, provider_at
from alpaca_pipe.teachers.openai.extra_fields import billed_otherwise, secret_in
from alpaca_pipe.weights.gguf import gguf_digest
from alpaca_pipe.weights.known import KNOWN

Dialect = Literal["chat", "completions"]
OPENAI = "https://api.openai.com/v1"

_NAME_OF_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_REHEARSED_POLL = 0.2  # seconds

_ENDPOINTS = ("openai_chat", "openai_completions", "openai_batch")
_BY_BATCH = ("openai_batch", "rehearsed")
_ONLY_OF = {  # fields that mean something for some kinds only
    "base_url": _ENDPOINTS,
    "api_key_env": _ENDPOINTS,
    "default_headers": _ENDPOINTS,
    "extra_body": (*_ENDPOINTS, "local_server"),
    "proxy": _ENDPOINTS,
    "ca_file": _ENDPOINTS,
    "dialect": ("local_server", "rehearsed"),
    "port": ("local_server", "rehearsed"),
    "context": ("local_server",),
    "threads": ("local_server",),
    "lines": ("rehearsed",),
    "delay": ("rehearsed",),
    "served": ("rehearsed",),
    "batch": ("rehearsed",),
    "window": _BY_BATCH,
    "poll": _BY_BATCH,
    "most_requests": _BY_BATCH,
    "most_bytes": _BY_BATCH,
}


class TeacherTable(Table):
    """Whom we ask. A local_server runs a GGUF here; openai_* is any endpoint that speaks that dialect; rehearsed is
    our own scripted server, for tests and `--rehearse`."""

    kind: Literal[
        "local_server", "openai_chat", "openai_completions", "openai_batch", "rehearsed"
    ] = Field(
        description="local_server: a GGUF on this machine; openai_chat: an endpoint; rehearsed: scripted, free; "
        "openai_batch: an endpoint asked by files and batches, within a day and at their own price: take a large "
        "generate.round_size, each round waits for its batch; "
        "openai_completions: an endpoint that only continues a text, for style alpaca-2023"
    )
    model: str = Field(
        min_length=1,
        description="the endpoint's name for it; for local_server a known weight or a path",
    )
    base_url: str | None = Field(None, description=f"of an endpoint; default {OPENAI}")
    api_key_env: str | None = Field(
        None,
        description="NAME of the environment variable that holds the key; "
        "default OPENAI_API_KEY at OpenAI, elsewhere none",
    )
    default_headers: Annotated[dict[str, str], Knob()] = Field(
        {}, description="sent with every request; no secrets"
    )
    extra_body: dict[str, Any] = Field({}, description="fields added to every request as they are")
    proxy: Annotated[str | None, Knob()] = Field(
        None,
        description="http://host:port on the way to an endpoint; default the "
        "environment's (HTTPS_PROXY), which may hold its password",
    )
    ca_file: Annotated[ExistingPath | None, Knob()] = Field(
        None,
        description="PEM of a certificate authority of your own, "
        "trusted beside the known ones; or set SSL_CERT_FILE",
    )
    identity_: str | None = Field(
        None,
        alias="identity",
        description="whom we ask, in place of address and model: "
        "keep it when an endpoint moves, and its stored replies stay good",
    )
    dialect: Dialect = Field(
        "chat",
        description="of a local_server or rehearsed: chat; completions only continues a text, "
        "for style alpaca-2023",
    )
    context: int = Field(
        4096, ge=256, description="local_server: tokens a request and its reply may have together"
    )
    refuses: tuple[str, ...] = Field(
        (), description="decoding fields that this model does not take"
    )
    on_unsupported: Literal["error", "drop"] = Field(
        "error",
        description="a decoding field that the teacher does not "
        "take stops the run, or is left out and recorded",
    )
    price: Annotated[PriceTable | None, Knob()] = Field(
        None, description="$ per million tokens, where it is not known"
    )
    terms: Annotated[str | None, Knob()] = Field(
        None,
        description="what binds whoever uses its outputs, in words or as an "
        "address; default: what we know of the model's name",
    )
    concurrency: Annotated[int, Knob()] = Field(4, ge=1, le=1024, description="requests in flight")
    requests_per_minute: Annotated[int | None, Knob()] = Field(
        None, ge=1, description="at most; null: what its replies say"
    )
    tokens_per_minute: Annotated[int | None, Knob()] = Field(
        None, ge=1, description="at most; null: what its replies say"
    )
    max_attempts: Annotated[int, Knob()] = Field(
        6, ge=1, description="HTTP attempts for one request"
    )
    timeout: Annotated[float, Knob()] = Field(300.0, gt=0, description="seconds for one attempt")
    port: Annotated[int | None, Knob()] = Field(
        None, ge=1, le=65535, description="of our own server; default any free one"
    )
    threads: Annotated[int | None, Knob()] = Field(
        None, ge=1, description="local_server: default all cores but one"
    )
    lines: ExistingPath | None = Field(
        None, description="rehearsed: JSONL of recorded replies; default the built-in script"
    )
    delay: Annotated[float, Knob()] = Field(
        0.0, ge=0, description="rehearsed: seconds before each reply"
    )
    served: Annotated[AnyPath | None, Knob()] = Field(
        None,
        description="rehearsed: file to which the server appends a line "
        "for each request that it answered",
    )
    batch: Annotated[bool, Knob()] = Field(
        False, description="rehearsed: asked by files and batches, as openai_batch"
    )
    window: Annotated[str, Knob()] = Field(
        "24h", description="openai_batch: in which the provider has to answer"
    )
    poll: Annotated[float, Knob()] = Field(
        60.0, gt=0, description="openai_batch: most seconds between two looks at a batch"
    )
    most_requests: Annotated[int, Knob()] = Field(
        50_000, ge=1, le=50_000, description="openai_batch: in one file"
    )
    most_bytes: Annotated[int, Knob()] = Field(
        200_000_000, ge=10_000, le=200_000_000, description="openai_batch: of one file"
    )

    @field_validator("price", mode="before")
    @classmethod
    def _own_model_is_free(cls, price: Any, info: ValidationInfo) -> Any:
        return "free" if price is None and info.data.get("kind") == "local_server" else price

    @field_validator("model")
    @classmethod
    def _gguf_is_there(cls, model: str, info: ValidationInfo) -> str:
        if info.data.get("kind") != "local_server" or model in KNOWN:
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

    @field_validator(*_ONLY_OF, mode="before")  # the last one written runs first
    @classmethod
    def _belongs_to_the_kind(cls, value: Any, info: ValidationInfo) -> Any:
        name, kind = info.field_name or "", info.data.get("kind")
        default = cls.model_fields[name].default
        if kind and kind not in _ONLY_OF[name] and value != default:
            raise ValueError(
                f"a teacher of kind {kind} has no '{name}' - take it out, or use kind: "
                f"{' or '.join(_ONLY_OF[name])}"
            )
        return value

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an address - write it like https://host/v1")
        if parts.username or parts.password or parts.query or LOOKS_LIKE_A_KEY.search(url):
            raise ValueError(
                "an address in a recipe holds no user, password or query - "
                "put the key in an environment variable and its name in 'api_key_env'"
            )
        return url.rstrip("/")

    @field_validator("proxy")
    @classmethod
    def _plain_proxy(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                "not a proxy's address - write it like http://host:port; SOCKS is not spoken here"
            )
        if parts.username or parts.password or parts.query or LOOKS_LIKE_A_KEY.search(url):
            raise ValueError(
                "a proxy in a recipe holds no user or password - "
                "take it out and set it in the environment: export HTTPS_PROXY=http://user:password@host:port"
            )
        return url

    @field_validator("api_key_env")
    @classmethod
    def _a_name_not_a_key(cls, name: str | None) -> str | None:
        if name is not None and (
            LOOKS_LIKE_A_KEY.search(name) or not _NAME_OF_VARIABLE.fullmatch(name)
        ):
            raise ValueError(
                "this looks like a key, not like the name of an environment variable - put the key in the "
                "environment (export OPENAI_API_KEY=...) and write that name here; a key that stood in a "
                "file should be revoked"
            )
        return name

    @field_validator("default_headers", "extra_body")
    @classmethod
    def _holds_no_key(cls, value: dict[str, Any]) -> dict[str, Any]:
        if secret := secret_in(value):
            raise ValueError(
                f"'{secret}' looks like a secret - put the key in an environment variable and its name "
                "in 'api_key_env'"
            )
        return value

    @field_validator("extra_body")
    @classmethod
    def _bills_nothing_else(cls, value: dict[str, Any]) -> dict[str, Any]:
        if wrong := billed_otherwise(value):
            raise ValueError(wrong)
        return value

    @field_validator("price")
    @classmethod
    def _of_the_tier(cls, price: PriceTable | None, info: ValidationInfo) -> PriceTable | None:
        tier = info.data.get("extra_body", {}).get("service_tier")
        if price is None and tier not in USUAL_TIERS:
            raise ValueError(
                f"extra_body asks for service_tier '{tier}', which is billed otherwise than the usual one - "
                "say here what it costs, or take it out"
            )
        return price

    @property
    def speaks(self) -> Dialect:
        if self.kind in ("openai_chat", "openai_batch"):
            return "chat"
        return "completions" if self.kind == "openai_completions" else self.dialect

    @property
    def called(self) -> str:
        """The model as prices, servers and people call it: no path."""
        return Path(self.model).name if self.kind == "local_server" else self.model

    @property
    def address(self) -> str:
        """Of an endpoint, up to /v1."""
        return self.base_url or OPENAI

    @property
    def key_variable(self) -> str | None:
        """Name of the environment variable with the key; None where no key is sent."""
        if self.kind not in _ENDPOINTS:
            return None
        return self.api_key_env or ("OPENAI_API_KEY" if self.address == OPENAI else None)

    @property
    def by_batch(self) -> bool:
        return self.kind == "openai_batch" or self.batch

    def online(self) -> Self:
        """The same teacher, each request by itself."""
        kind = "openai_chat" if self.kind == "openai_batch" else self.kind
        return self.model_copy(update={"kind": kind, "batch": False}) if self.by_batch else self

    def priced(self, mode: Mode | None = None) -> Price:
        """What it costs today: of an endpoint at its own host, of a rehearsal on paper. UserError where nobody says."""
        return price_of(self.called, today(), self.price, host=self.host, mode=mode or self.mode)

    @property
    def host(self) -> str | None:
        """Of an endpoint; None for a server of our own, whose prices are on paper."""
        return (urlsplit(self.address).hostname or "") if self.kind in _ENDPOINTS else None

    @property
    def provider(self) -> str:
        """Whose prices and whose words about its models' ends hold."""
        return "" if self.host is None else provider_at(self.host)

    @property
    def mode(self) -> Mode:
        return "batch" if self.by_batch else "online"

    def ending(self) -> Ending | None:
        """When it answers no more, as far as the books know; None for a server of our own."""
        return ending_of(self.called, self.host)

    def identity(self) -> dict[str, Any]:
        """Whom we ask, as part of every request's key: never a port that we chose, never a key."""
        whom: dict[str, Any] = {"named": self.identity_} if self.identity_ else self._whom()
        if self.extra_body:
            whom["extra_body"] = self.extra_body
        return whom | ({"without": sorted(self.refuses)} if self.refuses else {})

    def _whom(self) -> dict[str, Any]:
        if self.kind == "local_server":
            return {"gguf": gguf_digest(self.model), "asked": self.speaks, "context": self.context}
        if self.kind == "rehearsed":
            script = f"lines {file_digest(self.lines)}" if self.lines else "script 2"
            return {"rehearsed": script, "asked": self.speaks, "model": self.model}
        parts = urlsplit(self.address)
        default_port = {"http": 80, "https": 443}[parts.scheme]
        port = f":{parts.port}" if parts.port not in (None, default_port) else ""
        path = "/chat/completions" if self.speaks == "chat" else "/completions"
        return {
            "url": f"{parts.scheme}://{parts.hostname}{port}{parts.path}{path}",
            "model": self.model,
        }

    def brings(self) -> tuple[Ingredient, ...]:
        return (
            ()
            if self.kind == "rehearsed"
            else (Ingredient("teacher", self.called, self.terms or ""),)
        )

    def rehearsed(self) -> Self:
        """The same teacher as our built-in script: the same dialect and pace of asking, its price on paper. Recorded
        `lines` answer the recipe in full size only."""
        if self.kind == "rehearsed":
            return self.model_copy(update={"lines": None})
        return type(self)(
            kind="rehearsed",
            model=self.called,
            dialect=self.speaks,
            price=self.price,
            refuses=self.refuses,
            on_unsupported=self.on_unsupported,
            concurrency=self.concurrency,
            batch=self.by_batch,
            poll=_REHEARSED_POLL if self.by_batch else 60.0,
            most_requests=self.most_requests,
            most_bytes=self.most_bytes,
        )
