"""The recipe's table `teacher:` - whom we ask, how fast, and at which price. What each kind adds is a module in kinds/."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from alpaca_pipe.core.config_table import Knob, wrong_key
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.core.table_of_kinds import TableOfKinds
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.pricing.end_of_life import Ending, ending_of
from alpaca_pipe.ledger.pricing.token_prices import Mode, Price, PriceTable, price_of, provider_at

if TYPE_CHECKING:
    from alpaca_pipe.teachers.base import Dialect, Speaks
    from alpaca_pipe.teachers.local.child_process import Child

_REHEARSED_POLL = 0.2  # seconds


@dataclass(frozen=True)
class ExpectedPace:
    """How fast a kind of teacher answers, for plans that are made before anything is measured. first: seconds before a reply
    begins; speed: its tokens a second; each a median and the standard deviation of its logarithm. shared: one machine's
    speed is divided among the requests in flight. start: seconds before the first request. grade: seconds for a grade."""

    first: tuple[float, float]
    speed: tuple[float, float]
    shared: bool = False
    start: float = 0.5
    at_once: int | None = None  # requests in flight, where it is not `concurrency` that says so
    grade: float = 1.5


@dataclass(frozen=True)
class BatchRules:
    """How files of requests are cut and watched. poll: most seconds between two looks."""

    window: str = "24h"
    poll: float = 60.0
    most_requests: int = 50_000
    most_bytes: int = 200_000_000


class TeacherTable(TableOfKinds):
    """The teacher model. A local_server runs a GGUF here; openai_* is any endpoint that speaks that dialect; rehearsed is
    our own scripted server, for tests and `--rehearse`."""

    folder: ClassVar[str] = "alpaca_pipe.teachers.kinds"
    noun: ClassVar[str] = "teacher"
    also: ClassVar[Mapping[str, str]] = {"unsupported_params": "refuses"}

    kind: str = Field(
        description="whom we ask and by which protocol; each kind has keys of its own"
    )
    model: str = Field(min_length=1, description="the model's name at the endpoint")
    identity_: str | None = Field(
        None,
        alias="identity",
        description="a name of your own instead of address and model: keep it when an endpoint moves, and its stored replies stay valid",
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
        None, description="$ per million tokens, for a model without a known price"
    )
    terms: Annotated[str | None, Knob()] = Field(
        None,
        description="the terms for using its outputs: the name of an open licence is a yes, words that forbid a no, others are asked about; null: what is known about the model",
    )
    concurrency: Annotated[int, Knob()] = Field(4, ge=1, le=1024, description="requests in flight")
    requests_per_minute: Annotated[int | None, Knob()] = Field(
        None, ge=1, description="the limit; null: the one that its replies state"
    )
    tokens_per_minute: Annotated[int | None, Knob()] = Field(
        None, ge=1, description="the limit; null: the one that its replies state"
    )
    max_attempts: Annotated[int, Knob()] = Field(
        6, ge=1, description="HTTP attempts for one request"
    )
    top_logprobs: int | None = Field(
        None,
        ge=1,
        le=20,
        description="alternatives of each token to ask for, with their log probabilities; kept with the reply",
    )
    timeout: Annotated[float, Knob()] = Field(300.0, gt=0, description="seconds for one attempt")

    @model_validator(mode="after")
    def _tells_probabilities(self) -> Self:
        if self.top_logprobs and "logprobs" not in self.takes:
            raise wrong_key(
                "top_logprobs",
                self.top_logprobs,
                f"a teacher of kind {self.kind} tells no probabilities, or is said to refuse them - remove it",
            )
        return self

    # ---- what each kind says of itself

    @abstractmethod
    def protocol(self) -> Dialect:
        """How one request is put and its reply is read."""

    @abstractmethod
    def whom(self) -> dict[str, Any]:
        """Whom we ask, as part of every request's key: never a port that we chose, never a key."""

    @abstractmethod
    def expected_pace(self) -> ExpectedPace:
        """How fast it answers, before anything is measured."""

    def own_server(self, log: Path) -> AbstractAsyncContextManager[Child] | None:
        """A server of our own that is asked, to be entered; None where somebody else's is. log: its log is appended there."""
        return None

    def online(self) -> TeacherTable:
        """The same teacher, each request by itself."""
        return self

    @property
    def called(self) -> str:
        """The model as prices, servers and people call it: no path."""
        return self.model

    @property
    def recorded(self) -> bool:
        """Whether all that it will say is written down already."""
        return False

    @property
    def author(self) -> str:
        """Who is said to have written what it answers."""
        return self.called

    @property
    def address(self) -> str:
        """Of an endpoint, up to /v1; "" for a server of our own, whose port is another each time."""
        return ""

    @property
    def host(self) -> str | None:
        """Of an endpoint; None for a server of our own, whose prices are on paper."""
        return None

    @property
    def key_variable(self) -> str | None:
        """Name of the environment variable with the key; None where no key is sent."""
        return None

    @property
    def http_options(self) -> Mapping[str, Any]:
        """Further arguments of its HTTP client: headers, proxy, ca_file."""
        return {}

    @property
    def added_fields(self) -> Mapping[str, Any]:
        """Fields added to every request as they are."""
        return {}

    @property
    def effort(self) -> str | None:
        """How hard it is told to think before it answers; None where the model decides."""
        said = self.added_fields.get("reasoning_effort")
        return None if said is None else str(said)

    @property
    def bills_dollars(self) -> bool | None:
        """Whether a cost that its replies report is in dollars, and counts before the price; None: where the provider is known
        to report dollars."""
        return None

    @property
    def renamed_fields(self) -> Mapping[str, str]:
        """Decoding fields that go by another name there."""
        return {}

    @property
    def by_batch(self) -> bool:
        """Whether its requests go by files and batches."""
        return False

    @property
    def batch_rules(self) -> BatchRules:
        """Also of one that is asked online: what an earlier run left with the provider as a batch is collected by these."""
        return BatchRules()

    # ---- what follows from that

    @property
    def speaks(self) -> Speaks:
        return self.protocol().speaks

    @property
    def takes(self) -> frozenset[str]:
        """The decoding fields that it accepts, known before it is asked."""
        return self.protocol().takes - set(self.refuses)

    @property
    def mode(self) -> Mode:
        return "batch" if self.by_batch else "online"

    @property
    def provider(self) -> str:
        """Whose prices and whose words about its models' ends hold."""
        return "" if self.host is None else provider_at(self.host)

    def priced(self, mode: Mode | None = None) -> Price:
        """What it costs today: of an endpoint at its own host, of a rehearsal on paper. UserError where nobody says."""
        return price_of(self.called, today(), self.price, host=self.host, mode=mode or self.mode)

    def ending(self) -> Ending | None:
        """When it answers no more, as far as the books know; None for a server of our own."""
        return ending_of(self.called, self.host)

    def identity(self) -> dict[str, Any]:
        whom: dict[str, Any] = {"named": self.identity_} if self.identity_ else self.whom()
        if self.added_fields:
            whom["extra_body"] = self.added_fields
        if self.top_logprobs:
            whom["top_logprobs"] = self.top_logprobs
        return whom | ({"without": sorted(self.refuses)} if self.refuses else {})

    def brings(self) -> tuple[Ingredient, ...]:
        return (Ingredient("teacher", self.called, self.terms or ""),)

    def rehearsed(self) -> TeacherTable:  # type: ignore[override]
        """The same teacher as our built-in script: the same dialect and pace of asking, its price on paper."""
        rules = self.batch_rules
        return TeacherTable.model_validate(
            {
                "kind": "rehearsed",
                "model": self.called,
                "dialect": self.speaks,
                "price": self.price,
                "refuses": self.refuses,
                "on_unsupported": self.on_unsupported,
                "concurrency": self.concurrency,
                "batch": self.by_batch,
                "poll": _REHEARSED_POLL if self.by_batch else rules.poll,
                "most_requests": rules.most_requests,
                "most_bytes": rules.most_bytes,
            }
        )
