"""Our books against the provider's own: by attempt to the nano-dollar, by day and line item within a tolerance."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Attempt, Short, Totals
from alpaca_pipe.ledger.pricing.token_prices import Price
from alpaca_pipe.ledger.reconcile.reconcile import (
    Reconciliation,
    Tolerance,
    print_reconciliation,
    reconcile,
)
from alpaca_pipe.ledger.statements.exports import export_focus
from alpaca_pipe.ledger.store.journal import Journal
from tests.ledger.conftest import Book
from tests.ledger.rows import COST, MINI, NANO, USED, Rows

DAY = 1_792_454_400  # 2026-10-20, 00:00 UTC
AT = "2026-10-20 12:00:00"
EXACT = Tolerance.read("0")


@pytest.fixture
def file(path: Path) -> Path:
    return path.parent / "provider.csv"


@pytest.fixture
def usual_csv() -> Iterator[None]:
    """Python's own limit of a field; reading data raises it for the whole process."""
    before = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(before)


def books(
    file: Path, rows: Mapping[str, int], at: str = "2026-10-20T12:00:00Z", **more: str
) -> Path:
    """A provider's FOCUS file: nano-dollars by attempt."""
    out = io.StringIO()
    columns = [
        "BilledCost",
        "BillingCurrency",
        "ChargeCategory",
        "ChargePeriodStart",
        "ChargePeriodEnd",
        "SkuId",
        "x_ClientRequestId",
        *more,
    ]
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    for name, amount in rows.items():
        writer.writerow(
            {
                "BilledCost": f"{Decimal(amount).scaleb(-9):f}",
                "BillingCurrency": "USD",
                "ChargeCategory": "Usage",
                "ChargePeriodStart": at,
                "ChargePeriodEnd": at[:-3] + "59Z",
                "SkuId": "gpt-4o-mini",
                "x_ClientRequestId": name,
            }
            | more
        )
    file.write_text(out.getvalue())
    return file


def costs(file: Path, items: Mapping[str | None, object], day: int = DAY, **page: object) -> Path:
    """OpenAI's GET /v1/organization/costs: dollars by line item, on one day."""
    results = [
        {
            "object": "organization.costs.result",
            "amount": {"value": amount, "currency": "usd"},
            "line_item": item,
            "project_id": None,
            "quantity": None,
        }
        for item, amount in items.items()
    ]
    bucket = {"object": "bucket", "start_time": day, "end_time": day + 86_400, "results": results}
    file.write_text(
        json.dumps(
            {"object": "page", "data": [bucket], "has_more": False, "next_page": None} | page
        )
    )
    return file


def dollars(nanodollars: int) -> str:
    return f"{Decimal(nanodollars).scaleb(-9):f}"


# ---- line by line


def test_books_that_agree(book: Book, path: Path, file: Path) -> None:
    rows = Rows(book.journal)
    ours = {rows.settled(f"r1-{i}", AT): COST for i in range(5)}
    rows.released("r1-refused", AT)
    done = reconcile(path, books(file, ours))
    assert done.faults == () and done.findings == {"equal": 6}


def test_our_own_export_agrees_with_us(book: Book, path: Path, file: Path) -> None:
    rows = Rows(book.journal)
    rows.settled("r1-a", AT)
    rows.settled("r1-b", AT, usage=Usage(7, 0, 0, 3))
    export_focus(path, file)
    assert reconcile(path, file, complete=True).findings == {"equal": 2}


@pytest.mark.parametrize(
    ("theirs", "fault"),
    [
        ({"r1-a.1.m1": COST + 1}, "1 attempt: differs"),
        ({"r1-a.1.m1": COST, "r1-x.1.m1": 5}, "1 attempt: unknown to us"),
        ({"r1-b.1.m1": COST}, "1 attempt: not in their books"),
        ({"r1-a.1.m1": COST, "r1-c.1.m1": 5}, "1 attempt: differs"),
    ],
)
def test_a_nanodollar_that_differs_is_said(
    book: Book,
    path: Path,
    file: Path,
    theirs: dict[str, int],
    fault: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = Rows(book.journal)
    rows.settled("r1-a", AT)
    rows.settled("r1-b", AT)
    rows.released("r1-c", AT)
    done = reconcile(path, books(file, {"r1-b.1.m1": COST} | theirs))
    assert done.faults == (fault,)
    with pytest.raises(UserError, match=f"the books differ: {fault} - .*--write"):
        print_reconciliation(path, file)
    assert "theirs $0.0000" in capsys.readouterr().out
    assert reconcile(path, file, Tolerance.read("0.01")).faults == ()


def test_a_lost_attempt_that_they_billed_is_reconciled_once(
    book: Book, path: Path, file: Path
) -> None:
    rows = Rows(book.journal, ceiling=1000)
    rows.settled("r1-a", AT, cost=700)
    lost = rows.lost("r1-b", AT)
    books(file, {"r1-a.1.m1": 700, lost: 900})
    assert reconcile(path, file).findings == {"equal": 1, "lost, billed": 1}
    assert book.journal.totals().lost == 1000  # looking writes nothing
    assert reconcile(path, file, write=True).written == (("reconciled", 1),)
    assert book.journal.totals() == Totals(settled=1600, requests=1, attempts=2)
    assert book.journal.entries_of("r1-b")[-1].note == "provider.csv says $0.000000900"
    again = reconcile(path, file, write=True)
    assert again.written == () and again.findings == {"equal": 2}
    assert len(list(book.journal.entries())) == 5


def test_what_they_did_not_bill_is_free_only_if_the_file_is_complete(
    book: Book, path: Path, file: Path
) -> None:
    rows = Rows(book.journal, ceiling=1000)
    rows.settled("r1-a", AT, cost=700)
    rows.lost("r1-b", AT)
    rows.lost("r1-late", "2026-10-21 00:00:01")  # a day that the file does not cover
    Rows(book.journal, price=NANO, ceiling=1000).lost(
        "r1-elsewhere", AT
    )  # of another provider: in another file
    books(file, {"r1-a.1.m1": 700})
    assert reconcile(path, file, write=True).written == ()
    done = reconcile(path, file, write=True, complete=True)
    assert done.written == (("reconciled", 1),)
    assert book.journal.totals() == Totals(settled=700, lost=2000, requests=1, attempts=4)


def test_a_reconciled_attempt_gives_its_budget_back(book: Book, path: Path, file: Path) -> None:
    rows = Rows(book.journal, ceiling=1000)
    rows.settled("r1-a", AT, cost=100)
    rows.lost("r1-b", AT)
    caps = Caps(api=1500, everywhere=Caps(total=1500))
    assert isinstance(book.reserve("r1-c", 1000, caps), Short)
    reconcile(path, books(file, {"r1-a.1.m1": 100, "r1-b.1.m1": 400}), write=True)
    assert isinstance(book.reserve("r1-c", 1000, caps), Attempt)
    assert isinstance(book.reserve("r1-d", 1, caps), Short)


def test_a_settled_attempt_that_differs_is_corrected_by_a_new_row(
    book: Book, path: Path, file: Path
) -> None:
    rows = Rows(book.journal)
    rows.settled("r1-a", AT, cost=700)
    rows.released("r1-b", AT)
    rows.settled("r1-c", AT, cost=300)
    books(file, {"r1-a.1.m1": 650, "r1-b.1.m1": 40})
    done = reconcile(path, file, write=True, complete=True)
    assert done.written == (("correction", 3),) and done.faults == ()
    assert book.journal.totals().settled == 690
    assert [(e.kind, e.nanodollars) for e in book.journal.entries_of("r1-a")] == [
        ("reserved", 1_000_000),
        ("settled", 700),
        ("correction", -50),
    ]
    assert reconcile(path, file, write=True, complete=True).written == ()


def test_an_attempt_that_a_preliminary_bill_corrected_does_not_keep_the_others_from_being_written(
    book: Book, path: Path, file: Path
) -> None:
    rows = Rows(book.journal, ceiling=1000)
    rows.settled("r1-a", AT, cost=700)
    rows.lost("r1-b", AT)
    assert reconcile(path, books(file, {"r1-a.1.m1": 650}), write=True).written == (
        ("correction", 1),
    )
    done = reconcile(path, books(file, {"r1-a.1.m1": 640, "r1-b.1.m1": 100}), write=True)
    assert done.written == (("reconciled", 1),)
    assert done.faults == (
        "1 attempt: differs",
        "1 attempt corrected before: nothing was written for it",
    )
    assert "left as they are: 1 attempt that an earlier bill corrected" in "\n".join(done.text)
    assert book.journal.totals() == Totals(settled=750, requests=1, attempts=2)


@pytest.mark.parametrize("end", ["settled", "lost"])
def test_nothing_is_concluded_across_the_edge_of_the_days_that_a_file_covers(
    book: Book, path: Path, file: Path, end: str
) -> None:
    """They bill on the day on which it began; we end it on the next one, a recovered one hours later."""
    rows = Rows(book.journal, ceiling=1000)
    late = getattr(rows, end)("r1-late", "2026-10-21 00:00:02", began="2026-10-20 23:58:00")
    rows.lost("r1-recovered", "2026-10-21 10:00:00", began="2026-10-20 23:58:00")
    named = rows.settled("r1-named", "2026-10-21 12:00:00", cost=700)
    rows.lost("r1-within", "2026-10-21 12:00:00", began="2026-10-21 00:00:00")
    before = book.journal.totals()
    done = reconcile(
        path, books(file, {named: 700}, at="2026-10-21T12:00:00Z"), write=True, complete=True
    )
    assert done.written == (("reconciled", 1),) and set(done.findings) == {
        "equal",
        "lost, not billed",
    }
    assert (
        book.journal.totals().lost == before.lost - 1000
        and book.journal.totals().settled == before.settled
    )
    books(file, {late: 900, "r1-recovered.1.m1": 800}, at="2026-10-20T23:58:00Z")
    reconcile(path, file, write=True, complete=True)
    assert book.journal.totals().settled == 700 + 900 + 800 and not book.journal.totals().lost


def test_a_row_for_each_class_of_tokens_and_a_name_in_the_tags(
    book: Book, path: Path, file: Path
) -> None:
    name = Rows(book.journal).settled("r1-a", AT, cost=700)
    columns = "BilledCost,ChargePeriodStart,Tags\n"
    for share in ("0.0000004", "3E-7"):
        columns += f'{share},2026-10-20T12:00:00Z,"{{""user"": 5, ""attempt"": ""{name}""}}"\n'
    file.write_bytes(gzip.compress(columns.encode()))
    assert reconcile(path, file).findings == {"equal": 1}


def test_what_a_run_has_under_way_is_left_alone(book: Book, path: Path, file: Path) -> None:
    rows = Rows(book.journal, ceiling=1000)
    name = rows.opened("r1-a", AT)
    attempt = book.opened("r1-b")
    done = reconcile(path, books(file, {name: 500}), write=True)
    assert done.findings == {"still open": 1} and done.faults == done.written == ()
    book.settle(attempt)  # and the run goes on writing
    assert book.journal.totals().requests == 1


def test_what_else_stands_on_the_bill_is_counted(book: Book, path: Path, file: Path) -> None:
    name = Rows(book.journal).settled("r1-a", AT)
    books(file, {name: COST, "": 5_000})
    with file.open("a") as stream:
        stream.write("0.1,USD,Tax,2026-10-20T12:00:00Z,2026-10-20T13:00:00Z,,\n")
    text = "\n".join(reconcile(path, file).text)
    assert (
        "1 tax rows left out" in text and "1 rows without the name of an attempt left out" in text
    )


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["settled", "lost", "released"]), st.integers(0, 2000), st.booleans()
        ),
        min_size=1,
        max_size=12,
    )
)
def test_after_writing_both_books_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, attempts: list[tuple[str, int, bool]]
) -> None:
    assume(
        any(named for *_, named in attempts)
    )  # an empty file tells nothing, not even at which prices
    folder = tmp_path_factory.mktemp("l")
    path, theirs = folder / "ledger.sqlite", {}
    with Journal.open(path) as journal:
        rows = Rows(journal, ceiling=2000)
        for place, (end, amount, named) in enumerate(attempts):
            name = getattr(rows, end)(f"r1-{place}", AT)
            if named:
                theirs[name] = amount
        file = books(folder / "provider.csv", theirs)
        done = reconcile(path, file, write=True, complete=True)
        assert done.faults == ()
        again = reconcile(path, file, write=True, complete=True)
        assert again.written == ()
        assert journal.totals() == Totals(
            settled=sum(theirs.values()),
            attempts=len(attempts),
            requests=sum(end == "settled" for end, *_ in attempts),
        )
        assert set(again.findings) == {"equal"}


# ---- day by day


def sides(usage: Usage, times: int = 1) -> dict[str | None, object]:
    """Line items as OpenAI bills them."""
    price = MINI.per_million
    each = {
        "input": usage.uncached_in * price["uncached_in"],
        "cached input": usage.cache_read * price["cache_read"],
        "output": usage.tokens_out * price["visible_out"],
    }
    return {
        f"gpt-4o-mini-2024-07-18, {side}": str(amount * times / 1_000_000)
        for side, amount in each.items()
    }


def test_a_bill_by_line_item_that_agrees(book: Book, path: Path, file: Path) -> None:
    rows = Rows(book.journal)
    for place in range(3):
        rows.settled(f"r1-{place}", AT)
    rows.settled("r1-yesterday", "2026-10-19 12:00:00")
    done = reconcile(path, costs(file, sides(USED, 3)), EXACT)
    assert done.faults == ()
    assert [line.split("  ")[0] for line in done.text[1:]] == ["2026-10-20"] * 3
    assert "gpt-4o-mini, cached input" in "\n".join(done.text)


@pytest.mark.parametrize("amount", ["0E-6176", 0, "0.000006000000000000000000000000", 6e-6])
def test_an_amount_is_a_number_or_a_text(
    book: Book, path: Path, file: Path, amount: object
) -> None:
    Rows(book.journal).settled("r1-a", AT, usage=Usage(40 if float(str(amount)) else 0))
    assert (
        reconcile(path, costs(file, {"gpt-4o-mini-2024-07-18, input": amount}), EXACT).faults == ()
    )


def test_cached_tokens_that_were_billed_in_full_are_seen(
    book: Book, path: Path, file: Path
) -> None:
    Rows(book.journal).settled("r1-a", AT, usage=Usage(0, 1_000_000, 0, 0))
    done = reconcile(path, costs(file, {"gpt-4o-mini, input": "0.15"}))
    assert done.faults == (
        "2026-10-20 gpt-4o-mini, cached input by $-0.075000000",
        "2026-10-20 gpt-4o-mini, input by $0.150000000",
    )


def test_what_is_lost_explains_what_they_have_more_and_never_less(
    book: Book, path: Path, file: Path
) -> None:
    rows = Rows(book.journal, ceiling=500_000_000)
    rows.settled("r1-a", AT, usage=Usage(1_000_000))
    rows.lost("r1-b", AT)
    done = reconcile(path, costs(file, {"gpt-4o-mini, input": "0.55"}))
    assert done.faults == () and "explained by what is lost" in "\n".join(done.text)
    assert len(reconcile(path, costs(file, {"gpt-4o-mini, input": "0.75"})).faults) == 1
    assert len(reconcile(path, costs(file, {"gpt-4o-mini, input": "0.05"})).faults) == 1


def test_a_bill_without_line_items_is_compared_by_day(book: Book, path: Path, file: Path) -> None:
    Rows(book.journal).settled("r1-a", AT)
    Rows(book.journal, price=NANO).settled("r1-b", AT)
    both = dollars(COST + NANO.cost(USED))
    done = reconcile(path, costs(file, {None: both}), EXACT)
    assert done.faults == () and "all models" in done.text[1]


def test_an_amount_that_no_tokens_make_is_compared_by_model(
    book: Book, path: Path, file: Path
) -> None:
    rows = Rows(book.journal)
    rows.settled("r1-a", AT)
    rows.settled(
        "r1-b", AT, cost=1_000_000, usage=Usage()
    )  # came without its usage: at its ceiling
    items = sides(USED) | {"gpt-4o-mini-2024-07-18, output": dollars(1_000_000 + 36_000)}
    assert reconcile(path, costs(file, items), EXACT).faults == ()


def test_what_others_of_the_organisation_asked_is_left_out(
    book: Book, path: Path, file: Path
) -> None:
    Rows(book.journal).settled("r1-a", AT)
    done = reconcile(
        path,
        costs(file, sides(USED) | {"gpt-4o-2024-08-06, input": 12, "web search tool calls": 3}),
        EXACT,
    )
    assert done.faults == ()
    assert (
        "left out: $15.000000000 for what this ledger never asked for: gpt-4o-2024-08-06, input"
        in done.text[-1]
    )


def elsewhere(provider: str = "deepseek") -> Price:
    return replace(MINI, model="deepseek-v4-pro", provider=provider)


def test_what_was_bought_elsewhere_is_not_in_the_scope_of_openais_costs(
    book: Book, path: Path, file: Path
) -> None:
    Rows(book.journal).settled("r1-a", AT)
    rows = Rows(book.journal, price=elsewhere(), ceiling=10**9)
    rows.settled("r1-b", AT, cost=500_000_000)
    rows.lost("r1-c", AT)
    done = reconcile(path, costs(file, sides(USED)), EXACT)
    assert done.faults == ()
    assert done.text[-1] == "not in this file's scope: deepseek $0.500000000"
    assert "explained" not in "\n".join(
        reconcile(path, costs(file, sides(USED) | {"gpt-4o-mini, output": "0.4"})).text
    )
    Rows(book.journal, price=elsewhere("")).settled(
        "r1-d", AT, cost=20_000_000
    )  # nobody knows whose: it is compared
    assert len(reconcile(path, costs(file, sides(USED))).faults) == 1


def test_a_bill_of_openai_without_charges_says_nothing_about_others(
    book: Book, path: Path, file: Path
) -> None:
    Rows(book.journal, price=elsewhere()).settled("r1-b", AT, cost=500_000_000)
    assert reconcile(path, costs(file, {})).faults == ()
    Rows(book.journal).settled("r1-a", AT, usage=Usage(1_000_000))
    assert reconcile(path, costs(file, {})).faults == (
        "2026-10-20 gpt-4o-mini, input by $-0.150000000",
    )


@pytest.mark.parametrize(
    ("names", "compared"),
    [
        (["DeepSeek"], {"deepseek-v4-pro"}),
        (["OpenAI, LLC"], {"gpt-4o-mini"}),
        (["OpenAI", "DeepSeek"], {"deepseek-v4-pro", "gpt-4o-mini"}),
        (["Some Reseller"], {"deepseek-v4-pro", "gpt-4o-mini"}),
        ([""], {"deepseek-v4-pro", "gpt-4o-mini"}),
    ],
)
def test_a_focus_bill_is_compared_with_what_was_bought_of_its_provider(
    book: Book, path: Path, file: Path, names: list[str], compared: set[str]
) -> None:
    Rows(book.journal).settled("r1-a", AT, cost=100_000_000, usage=Usage())
    Rows(book.journal, price=elsewhere()).settled("r1-b", AT, cost=100_000_000, usage=Usage())
    file.write_text(
        "BilledCost,ChargePeriodStart,SkuId,ProviderName\n"
        + "".join(f'0,2026-10-20T00:00:00Z,something,"{name}"\n' for name in names)
    )
    assert {fault.split()[1] for fault in reconcile(path, file).faults} == compared


def test_a_model_that_they_do_not_bill_at_all_differs(book: Book, path: Path, file: Path) -> None:
    Rows(book.journal).settled("r1-a", AT, usage=Usage(1_000_000))
    assert reconcile(path, costs(file, {"gpt-4o, input": 1})).faults == (
        "2026-10-20 gpt-4o-mini, input by $-0.150000000",
    )


def test_pages_in_a_list_or_one_a_line(book: Book, path: Path, file: Path) -> None:
    rows = Rows(book.journal)
    rows.settled("r1-a", AT)
    rows.settled("r1-b", "2026-10-21 12:00:00")
    one = costs(file, sides(USED), has_more=True).read_text()
    two = costs(file, sides(USED), day=DAY + 86_400).read_text()
    for text in (f"[{one}, {two}]", f"{one}\n{two}\n"):
        file.write_text(text)
        done = reconcile(path, file, EXACT)
        assert done.faults == () and len(done.text) == 7
    file.write_text(one)
    assert "more pages" in reconcile(path, file, EXACT).text[-1]
    with pytest.raises(UserError, match="says that there are more pages"):
        reconcile(path, file, complete=True)


def test_a_focus_bill_without_names_is_compared_by_sku(book: Book, path: Path, file: Path) -> None:
    Rows(book.journal).settled("r1-a", AT)
    lines = ["BilledCost,ChargePeriodStart,ChargePeriodEnd,SkuId,SkuMeter,BillingCurrency"]
    for side, amount in (
        ("Input Tokens", 15_000),
        ("Cached Input Tokens", 3_000),
        ("Output Tokens", 36_000),
    ):
        lines.append(
            f"{dollars(amount)},2026-10-20T00:00:00Z,2026-10-21T00:00:00Z,openai/gpt-4o-mini,{side},USD"
        )
    file.write_text("\n".join(lines))
    assert reconcile(path, file, EXACT).faults == ()
    with pytest.raises(UserError, match="names no attempt of ours"):
        reconcile(path, file, write=True)


# ---- tolerances and files


def test_tolerances(book: Book, path: Path, file: Path) -> None:
    Rows(book.journal).settled("r1-a", AT, usage=Usage(1_000_000))
    costs(file, {"gpt-4o-mini, input": "0.152"})
    assert reconcile(path, file).faults == ()  # a cent
    for tolerance, agreed in (
        ("0", False),
        ("0.001", False),
        ("$0.002", True),
        ("1%", False),
        ("2%", True),
    ):
        assert (reconcile(path, file, Tolerance.read(tolerance)).faults == ()) is agreed
    for wrong in ("much", "-1", "NaN", "%", "Infinity"):
        with pytest.raises(UserError, match="neither dollars nor a percentage"):
            Tolerance.read(wrong)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "a,b\n1,2\n",
            "neither OpenAI's costs nor a FOCUS CSV: no column BilledCost, ChargePeriodStart",
        ),
        ('{"data": 5}', "is not what GET /v1/organization/costs answers"),
        ('{"data": []}', "holds no buckets"),
        ("{", "is not what GET"),
        ('{"a": 1}', "answers: 'data' is missing"),
        (
            "BilledCost,ChargePeriodStart\nx,2026-10-20T00:00:00Z\n",
            "provider.csv:2: this row cannot",
        ),
        ("BilledCost,ChargePeriodStart\n1,yesterday\n", "provider.csv:2: this row cannot be read"),
        (
            "BilledCost,ChargePeriodStart,BillingCurrency\n1,2026-10-20T00:00:00Z,EUR\n",
            "holds amounts in EUR",
        ),
        (f"BilledCost,ChargePeriodStart\n{'1' * 200_000},x\n", "after line 1 this is not CSV"),
        ("BilledCost,ChargePeriodStart\nNaN,2026-10-20T00:00:00Z\n", "is not a number"),
    ],
)
def test_a_file_that_is_no_bill(
    book: Book, path: Path, file: Path, text: str, says: str, usual_csv: None
) -> None:
    file.write_text(text)
    with pytest.raises(UserError, match=says):
        reconcile(path, file)


def test_files_that_cannot_be_read(book: Book, path: Path, file: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file or directory - "):
        reconcile(path, file)
    file.write_bytes(b"\x1f\x8bno gzip")
    with pytest.raises(UserError, match="cannot be read"):
        reconcile(path, file)
    with pytest.raises(UserError, match="there is no ledger"):
        reconcile(path.parent / "none.sqlite", file)


def test_an_empty_bill(book: Book, path: Path, file: Path) -> None:
    books(file, {})
    assert reconcile(path, file, write=True).faults == ()
    Rows(book.journal).settled("r1-a", AT)
    done: Reconciliation = reconcile(path, file)
    assert done.faults == ("provider.csv holds no charges, the ledger has $0.000054000",)


@pytest.mark.parametrize(
    ("tolerance", "says"),
    [
        (None, "the books agree within $0.01 a line"),
        ("0.005", "the books agree within $0.005 a line"),
        ("2%", "the books agree within 2% of each line"),
    ],
)
def test_it_says_how_closely_the_books_agree(
    book: Book,
    path: Path,
    file: Path,
    tolerance: str | None,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Rows(book.journal).settled("r1-a", AT, usage=Usage(1_000_000))
    costs(file, {"gpt-4o-mini, input": "0.152"})
    print_reconciliation(path, file, tolerance)
    assert capsys.readouterr().out.splitlines()[-1] == says


def test_what_is_lost_or_under_way_is_said_apart(
    book: Book, path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = Rows(book.journal)
    books(file, {rows.settled("r1-a", AT): COST, rows.lost("r1-b", AT): 7})
    print_reconciliation(path, file)
    print_reconciliation(path, file, write=True)
    said = [line for line in capsys.readouterr().out.splitlines() if "the books agree" in line]
    assert said == [
        "the books agree to the nano-dollar, apart from 1 attempt lost or under way here",
        "with these rows the books agree to the nano-dollar",
    ]
