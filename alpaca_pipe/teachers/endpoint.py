"""What every teacher has that is asked over HTTP at somebody else's address: the address, the key, and the way there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from alpaca_pipe.core.config_table import ExistingPath, Knob, wrong_key
from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.secrets import LOOKS_LIKE_A_KEY
from alpaca_pipe.ledger.budget import USUAL_TIERS
from alpaca_pipe.teachers.config import ExpectedPace, TeacherTable
from alpaca_pipe.teachers.openai.extra_fields import ExtraBody, ExtraHeaders, billed_apart

OPENAI = "https://api.openai.com/v1"
_NAME_OF_VARIABLE = lazy_regex(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class EndpointTable(TeacherTable):
    """Keys of every endpoint. A kind of another protocol has its own `usual_address` and `usual_key`."""

    base_url: str | None = Field(
        None, description=f"of the endpoint; default the kind's own provider ({OPENAI} ...)"
    )
    api_key_env: str | None = Field(
        None,
        description="NAME of the environment variable that holds the key; "
        "default OPENAI_API_KEY (or the kind's own) at its provider, elsewhere none",
    )
    default_headers: ExtraHeaders = Field({})
    extra_body: ExtraBody = Field({})
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

    renames: Annotated[dict[str, str], Knob()] = Field(
        {},
        description="decoding fields that the endpoint knows by another name: {max_tokens: max_completion_tokens}",
    )
    reported_cost: Annotated[Literal["dollars", "ignore"] | None, Knob()] = Field(
        None,
        description="what the cost is that its replies report (usage.cost): dollars, which count before the price, or ignore; "
        "default: dollars at OpenRouter; elsewhere the price counts and a difference is an anomaly",
    )

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
                "remove it and set it in the environment: export HTTPS_PROXY=http://user:password@host:port"
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

    @model_validator(mode="after")
    def _priced_by_its_tier(self) -> Self:
        tier = self.extra_body.get("service_tier")
        if self.price is None and tier not in USUAL_TIERS:
            raise wrong_key(
                "price",
                None,
                f"extra_body asks for service_tier '{tier}', which is billed differently from the usual one - "
                "say here what it costs, or remove it",
            )
        return self

    @model_validator(mode="after")
    def _priced_by_its_tokens(self) -> Self:
        field = billed_apart(self.extra_body)
        if field and not (self.price and not any(self.price.per_million().values())):
            raise wrong_key(
                "extra_body",
                None,
                f"'{field}' asks for what is billed beside the tokens and their limit, so a cap could not hold - remove it, "
                "or set `price: free` if it is free",
            )
        return self

    @model_validator(mode="after")
    def _nothing_is_overwritten(self) -> Self:
        for name in self.own_fields:
            if name in self.extra_body:
                raise wrong_key(
                    "extra_body",
                    None,
                    f"'{name}' is written for each request, and this would take its place - "
                    "remove it, and use the keys of the teacher and of the stage",
                )
        return self

    @property
    def own_fields(self) -> tuple[str, ...]:
        """Of a request, what the dialect writes beside the decoding fields: extra_body may not take their place."""
        return ()

    @property
    def usual_address(self) -> str:
        return OPENAI

    @property
    def usual_key(self) -> str:
        """The variable that holds the key at the usual address."""
        return "OPENAI_API_KEY"

    @property
    def address(self) -> str:
        return self.base_url or self.usual_address

    @property
    def host(self) -> str | None:
        return urlsplit(self.address).hostname or ""

    @property
    def key_variable(self) -> str | None:
        return self.api_key_env or (self.usual_key if self.address == self.usual_address else None)

    @property
    def bills_dollars(self) -> bool | None:
        return None if self.reported_cost is None else self.reported_cost == "dollars"

    @property
    def renamed_fields(self) -> Mapping[str, str]:
        return self.renames

    @property
    def http_options(self) -> Mapping[str, Any]:
        return {"headers": self.default_headers, "proxy": self.proxy, "ca_file": self.ca_file}

    @property
    def added_fields(self) -> Mapping[str, Any]:
        return self.extra_body

    def whom(self) -> dict[str, Any]:
        parts = urlsplit(self.address)
        default_port = {"http": 80, "https": 443}[parts.scheme]
        port = f":{parts.port}" if parts.port not in (None, default_port) else ""
        path = self.protocol().path(self.model)
        return {
            "url": f"{parts.scheme}://{parts.hostname}{port}{parts.path}{path}",
            "model": self.model,
        }

    def expected_pace(self) -> ExpectedPace:
        """Of these months: under a second to begin, 40 to 150 tokens a second."""
        return ExpectedPace(first=(0.8, 0.5), speed=(75, 0.5))
