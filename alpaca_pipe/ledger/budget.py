"""Caps that hold while many requests are under way: what a request may cost at most, and what is said when it is too much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.config_table import Exact, Knob, Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import canonical
from alpaca_pipe.core.guarded_yaml import NotYaml, load_yaml
from alpaca_pipe.ledger.entries import Class, Short, Totals
from alpaca_pipe.ledger.money import NANO, nanodollars, shown
from alpaca_pipe.ledger.pricing.token_prices import Price, book

OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
SHARE = "share"  # the key of the caps of what another machine lent
USUAL_TIERS = (None, "auto", "default")  # of service_tier, for which the price book holds
WARN_AT = 80  # per cent of a cap that are used when it is said
NEARLY_USED = f"{WARN_AT} % of "  # how that sentence begins
# OpenAI's cookbook counts 3 tokens around a message and 3 before the reply; the rest is for the system prompt that many
# open chat templates add by themselves (SmolLM2's and Qwen's: about 25 tokens).
_AROUND_MESSAGE, _AROUND_REQUEST = 8, 64
_LIKE_THIS = "write dollars like `total: 50`, `api: 20`, `gpu: 30`, or take the file away"


class BudgetTable(Table):
    """What a recipe may spend, in dollars, over all its runs. Knobs: raising a cap runs nothing again."""

    total: Annotated[
        Exact | None, Knob(), Field(ge=0, description="for everything; null: no cap")
    ] = None
    api: Annotated[Exact | None, Knob(), Field(ge=0, description="to teachers; null: no cap")] = (
        None
    )
    gpu: Annotated[
        Exact | None, Knob(), Field(ge=0, description="for machines by the hour; null: no cap")
    ] = None
    go_on: Annotated[
        bool,
        Knob(),
        Field(description="a forecast past the cap does not stop the run; the cap itself does"),
    ] = False

    def rehearsed(self) -> Self:
        """Without caps: the paper dollars of many rehearsals add up, and buy nothing."""
        return type(self)()

    def caps(self) -> Caps:
        """The same in nano-dollars."""
        total, api, gpu = (
            None if cap is None else nanodollars(cap) for cap in (self.total, self.api, self.gpu)
        )
        return Caps(total, api, gpu)


def read_budget(file: Path) -> BudgetTable | None:
    """The caps that a YAML file holds, as `total: 50`; None where there is no such file. Raises UserError."""
    from pydantic import ValidationError

    if not file.exists():
        return None
    try:
        return BudgetTable.model_validate(load_yaml(file.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        what = (
            "unknown key"
            if first["type"] == "extra_forbidden"
            else first["msg"].removeprefix("Value error, ")
        )
        raise UserError(
            f"{file}: {name}{': ' * bool(name)}{what[:1].lower()}{what[1:]}", _LIKE_THIS
        ) from None
    except (OSError, UnicodeDecodeError, NotYaml) as error:
        raise UserError(
            f"{file}: these are not caps: {' '.join(str(error).split())[:200]}", _LIKE_THIS
        ) from None


@dataclass(frozen=True)
class Caps:
    """Caps in nano-dollars on what one recipe spends; None is no cap. `everywhere`: those on all recipes of the
    workspace together. `share`: on this machine, those of the share that another one lent. `of_run`: a cap on what one run
    pays its teachers."""

    total: int | None = None
    api: int | None = None
    gpu: int | None = None
    everywhere: Caps | None = None
    share: Caps | None = None
    of_run: Cap | None = None

    def over(self, class_: Class) -> Iterator[Cap]:
        """The caps that an expense of this class meets."""
        if self.of_run and class_ == self.of_run.class_:
            yield self.of_run
        for caps, key in (
            (self, "budget"),
            (self.everywhere, "workspace budget"),
            (self.share, SHARE),
        ):
            if caps is None:
                continue
            own = {"api": caps.api, "gpu": caps.gpu}.get(class_)
            if own is not None:
                yield Cap(f"{key}.{class_}", own, class_, everywhere=caps is self.everywhere)
            if caps.total is not None:
                yield Cap(f"{key}.total", caps.total, None, everywhere=caps is self.everywhere)


@dataclass(frozen=True)
class Cap:
    """One cap: its key, nano-dollars, the class of expenses that it sums (None: all), and of which recipes, or of which run."""

    key: str
    nanodollars: int
    class_: Class | None
    everywhere: bool
    run: str | None = None

    def nearly_used(self, used: str) -> str:
        """The sentence. used: what, in words."""
        return f"{NEARLY_USED}{self.key} ({shown(self.nanodollars)}) is used: {used}"

    def left(self, held: Totals) -> int:
        """Nano-dollars below this cap that are neither spent (settled, or lost until reconciled) nor reserved."""
        return self.nanodollars - held.spent - held.open

    def refusal(self, held: Totals, ceiling: int, waiting: bool = False) -> Short:
        """What is answered where `ceiling` does not fit into what is left. waiting: an end of ours may make room."""
        return Short(
            self.key,
            self.nanodollars,
            held.settled,
            held.lost,
            held.open,
            ceiling,
            waiting,
            held.lent,
        )


class BudgetReached(UserError):
    """A budget ended the work: it is stopped, not broken, and goes on once there is room."""


class OverBudget(BudgetReached):
    """The next request may cost more than is left, and nothing is under way whose end could make room."""

    def __init__(self, short: Short, so_far: Totals) -> None:
        lost = f", {shown(short.lost)} lost until reconciled" if short.lost else ""
        held = (
            f", {shown(short.open - short.lent)} held by requests of another run"
            if short.open > short.lent
            else ""
        )
        held += lent_out(short)
        super().__init__(
            f"the budget of {shown(short.cap)} ({short.budget}) is reached: {shown(short.settled)} settled{lost}"
            f"{held}, and the next request may cost up to {shown(short.ceiling)}",
            f"{more(short.budget)} and run again, nothing is asked twice{_for_one_dollar(so_far)}",
        )
        self.short = short


def lent_out(short: Short) -> str:
    return f", {shown(short.lent)} lent to other machines" if short.lent else ""


def more(key: str, amount: str = "") -> str:
    """What makes room below a cap, as the beginning of a sentence."""
    if key.startswith(SHARE):
        return "pack a larger share where the recipe came from (`alpaca-pipe pack --share`), unpack it here"
    where = " in its budget.yaml" if key.startswith("workspace") else ""
    return f"raise {key}{where}{f' to {amount}' if amount else ''}"


def _for_one_dollar(so_far: Totals) -> str:
    if not so_far.settled or not so_far.requests:
        return ""
    return f"; one more dollar buys about {NANO * so_far.requests // so_far.settled:,} requests at the average so far"


def bounds_of(request: Request) -> tuple[int, int | None]:
    """The most tokens that a request can send and bring: bytes of what is sent (a byte-level BPE never makes more tokens
    than bytes), and the whole output limit, reasoning included; None where the request sets no limit, or one that limits nothing
    (null, -1)."""
    sent = (
        sum(len(message.content.encode()) + _AROUND_MESSAGE for message in request.messages)
        + _AROUND_REQUEST
    )
    sent += len(
        canonical(dict(request.decoding)).encode()
    )  # a JSON schema is shown to the model too
    limits = [
        limit_of(request.decoding[name]) for name in OUTPUT_LIMITS if name in request.decoding
    ]
    replies = max(int(request.decoding.get(name) or 1) for name in ("n", "best_of"))
    most = max((limit for limit in limits if limit is not None), default=None)
    return sent, None if most is None or None in limits else most * replies


def limit_of(said: Any) -> int | None:
    """An output limit as a number of tokens; None where it limits nothing."""
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else None


def ceiling_of(request: Request, price: Price) -> int:
    """The most that one attempt can cost, in nano-dollars. UserError where a paid request has no output limit, or asks
    for a tier of service whose price nobody said."""
    sent, brought = bounds_of(request)
    if price.free:
        return 0
    tier = request.decoding.get("service_tier")
    if tier not in USUAL_TIERS and price in book():
        raise UserError(
            f"service_tier '{tier}' is billed differently from the price book's price of '{price.model}'",
            "remove it, or write what that tier costs as teacher.price",
        )
    if brought is None:
        raise UserError(
            f"requests to '{price.model}' have no output limit, so there is no limit to what one may cost",
            "set max_tokens (or max_completion_tokens) among the decoding fields of the stage",
        )
    return price.worst(sent, brought)
