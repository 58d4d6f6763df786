"""A recipe that came in a pack, read as a stranger's: what it names lies in its own folder, and what it would spend, with which
key at which host, is said before anything is done; where a key could reach somebody who should not have it, it is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alpaca_pipe.core.config_table import Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.own_function import OwnFunction
from alpaca_pipe.core.today import today
from alpaca_pipe.curate.review.decisions import Decisions
from alpaca_pipe.ledger.budget_shares import BudgetShare
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.pricing.token_prices import Price, hosts, prices_on, provider_at
from alpaca_pipe.pack.manifest import STRANGE
from alpaca_pipe.recipe.dotenv import lend_keys
from alpaca_pipe.recipe.hooks import Hooks
from alpaca_pipe.recipe.schema import Recipe
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.endpoint import EndpointTable
from alpaca_pipe.teachers.kinds.local_server import LocalServerTable
from alpaca_pipe.train.hosted_config import HostedTuning
from alpaca_pipe.weights.known import KNOWN

_HERE = ("localhost", "127.0.0.1", "::1")
_OTHER_NAMES = {"GOOGLE_API_KEY": "google", "GEMINI_API_KEY": "google"}


@dataclass(frozen=True)
class Spending:
    """says: a sentence for each that would be asked.  asks: what should be agreed to first."""

    says: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


def refuse_outside(recipe: Recipe, folder: Path, file: Path) -> None:
    """UserError for a recipe that names a file which did not come with it. folder: of the recipe.  file: the pack."""
    inside = folder.resolve()
    for one in recipe.files:
        if not one.resolve().is_relative_to(inside) or one.resolve().parent != inside:
            raise UserError(f"{file} extends {one}, which is not in it", STRANGE)
    if len(recipe.files) > 1:
        raise UserError(f"{file} extends another recipe, which no packed one does", STRANGE)
    for table in (*recipe.tables.values(), *recipe.stages.values()):
        for path in _paths(table):
            if not path.resolve().is_relative_to(inside):
                raise UserError(f"{file} names {path}, which is not in it", STRANGE)


def spending_of(recipe: Recipe, share: BudgetShare) -> Spending:
    """What a run of it would ask of whom."""
    says: list[str] = []
    asks: list[str] = []
    environment = dict(os.environ)
    lend_keys(recipe, environment)
    for table in (*recipe.tables.values(), *recipe.stages.values()):
        for teacher in _found(table, TeacherTable):
            if isinstance(teacher, EndpointTable):
                says.append(_said(teacher.model, teacher.address, teacher.key_variable, share))
                asks += _key_asks(teacher.address, teacher.key_variable, environment)
                asks += _way_asks(teacher)
            asks += _price_asks(teacher)
        asks += _code_asks(table)
        for hosted in _found(table, HostedTuning):
            says.append(_said("tuning", hosted.address, hosted.key_variable, share))
            asks += _key_asks(hosted.address, hosted.key_variable, environment)
    return Spending(tuple(dict.fromkeys(says)), tuple(dict.fromkeys(asks)))


def below_the_book(price: Price) -> str:
    """How a price that came along is below the book's of today; "" where it is not, or the book has none."""
    known = next(
        (
            one
            for one in prices_on(today(), packed=False)
            if (one.model, one.provider, one.mode) == (price.model, price.provider, price.mode)
        ),
        None,
    )
    if known is None or all(
        figure >= known.per_million[name] for name, figure in price.per_million.items()
    ):
        return ""
    return (
        f"it counts {price.model} at {price.provider} at ${price.per_million['uncached_in']:f} in, "
        f"${price.per_million['visible_out']:f} out a million tokens, below the ${known.per_million['uncached_in']:f} "
        f"and ${known.per_million['visible_out']:f} that are known, so caps would hold for less than is billed"
    )


def teachers_in(recipe: Recipe) -> Iterator[TeacherTable]:
    """All that it names, wherever they stand."""
    for table in (*recipe.tables.values(), *recipe.stages.values()):
        yield from _found(table, TeacherTable)


def _said(what: str, address: str, variable: str | None, share: BudgetShare) -> str:
    key = f"with the key in {variable}" if variable else "without a key"
    most = "without a cap" if share.api is None else f"for at most {shown(share.api)}"
    if share.api == 0:
        most = "for free: its share of the budget is for machine time only"
    return f"a run may ask {urlsplit(address).netloc} for {what}, {key}, {most}"


def _key_asks(address: str, variable: str | None, environment: Mapping[str, str]) -> Iterator[str]:
    if variable is None:
        return
    parts = urlsplit(address)
    host, maker = parts.hostname or "", _maker_of(variable)
    if not (maker or environment.get(variable)):
        return  # nobody's known key, and none that is set here
    if maker is None or provider_at(host) != maker:
        yield f"it sends the key in {variable} to {host}, which is not known to be whose key that is"
    if parts.scheme == "http" and host not in _HERE:
        yield f"it sends the key in {variable} to {host} over plain http, where anybody on the way can read it"


def _code_asks(table: Table) -> Iterator[str]:
    """What a run would execute here that somebody else wrote."""
    for own in _found(table, OwnFunction):
        yield f"it runs code that came with it, {own.called} in {own.file.name}: read it first"
    if isinstance(table, Hooks):
        for command in table.commands:
            yield f"it runs a command of its own on this machine: {command}"
        for address in table.addresses:
            yield f"it tells {address} how its runs end"


def _way_asks(teacher: EndpointTable) -> Iterator[str]:
    if teacher.key_variable and teacher.proxy:
        yield f"it asks through the proxy {teacher.proxy}"
    if teacher.key_variable and teacher.ca_file:
        yield f"it trusts a certificate authority that came with the pack ({teacher.ca_file.name})"


def _price_asks(teacher: TeacherTable) -> Iterator[str]:
    if teacher.price is not None and teacher.host and (below := below_the_book(teacher.priced())):
        yield below


def _maker_of(variable: str) -> str | None:
    """The provider whose key a variable usually holds."""
    makers = {f"{name.upper()}_API_KEY": name for name in hosts().values()} | _OTHER_NAMES
    return makers.get(variable)


def _found(value: Any, kind: Any) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    if isinstance(value, Table):
        for name in type(value).model_fields:
            yield from _found(getattr(value, name), kind)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _found(item, kind)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _found(item, kind)


def _paths(value: Any) -> Iterator[Path]:
    yield from _found(value, Path)
    for decisions in _found(value, Decisions):
        if decisions.path is not None:
            yield decisions.path
    for teacher in _found(value, LocalServerTable):
        if teacher.model not in KNOWN:
            yield Path(teacher.model)
