"""Decisions by hand: what a line may say, what counts, and that a person's word stands above every rule and every replay."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_json, read_jsonl, tree_digest, write_jsonl
from alpaca_pipe.curate import pipeline
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.curate.first_pass import FirstPassSettings
from alpaca_pipe.curate.pipeline import judged
from alpaca_pipe.curate.review.decisions import (
    Decision,
    Decisions,
    append,
    decision,
    read_decisions,
)
from alpaca_pipe.curate.review.overrides import coming
from alpaca_pipe.curate.review.session import PAUSE, ReviewSession, enter_minutes, place_of, take
from alpaca_pipe.curate.rules import CurationRules
from alpaca_pipe.curate.run import _to_grade
from alpaca_pipe.curate.stage import STAGE
from alpaca_pipe.ledger.machine.config import GpuTable
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.pack.relocate import portable, same_recipe
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.recipe.stage import StageContext
from tests.curate.test_stage import BAD, ROWS, bench, ids, row

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)
SOME = st.builds(
    Decision,
    st.sampled_from(["e1-a", "e1-b", "e1-c#2"]),
    st.sampled_from(["keep", "drop", "note", "undo"]),
    TEXTS,
    who=TEXTS,
    when=st.sampled_from(["", "2026-11-21T08:00:00+00:00"]),
    seconds=st.floats(0, 999).map(lambda x: round(x, 1)),
)


def edit(of: Example, output: str, **more: str) -> Decision:
    return decision(
        of,
        "edit",
        texts={"instruction": of.instruction, "input": of.input, "output": output, **more},
    )


# ---- the file


@given(st.lists(SOME, max_size=8))
@settings(max_examples=40, deadline=None)
def test_what_was_appended_is_read(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Decision]
) -> None:
    path = tmp_path_factory.mktemp("file") / "decisions.jsonl"
    for line in lines:
        append(path, [line])
    assert list(read_decisions(path).lines) == lines
    assert not lines or path.read_bytes().count(b"\n") == len(lines)


@given(st.lists(SOME, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_only_the_meaning_is_the_identity(lines: list[Decision], data: st.DataObject) -> None:
    """Who, when, how long, notes, and the order of lines about different ids change nothing; another verdict does."""
    told = [replace(line, who="somebody else", when="", seconds=0.0, about="x") for line in lines]
    by_id = sorted(told, key=lambda line: line.id)  # stable: the order about one id stays
    noted = [*by_id, Decision("e1-b", "note", "by the way")]
    assert Decisions(None, tuple(noted)).identity() == Decisions(None, tuple(lines)).identity()
    for id, line in Decisions(None, tuple(lines)).by_id.items():
        other = (
            Decision(id, "drop", "a reason that nobody gave")
            if line.verdict == "keep"
            else Decision(id, "keep")
        )
        assert (
            Decisions(None, (*lines, other)).identity() != Decisions(None, tuple(lines)).identity()
        )


def test_the_last_decision_counts_and_undo_takes_back() -> None:
    told = (
        Decision("a", "keep"),
        Decision("a", "drop", "no"),
        Decision("a", "note", "hm"),
        Decision("b", "drop"),
        Decision("b", "undo"),
    )
    decided = Decisions(None, told)
    assert decided.by_id == {"a": told[1]} and decided.read == {"a"}
    assert not Decisions(None, (told[3], told[4]))


def test_every_line_that_is_none_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    bad = [
        '{"id": "e1-a", "verdict": "keep"}',
        '{"id": "e1-a", "verd',
        "<<<<<<< HEAD",
        "[1]",
        '{"id": "e1-a", "verdict": "yes"}',
        '{"verdict": "keep"}',
        '{"id": "e1-a", "verdict": "drop", "wy": "x"}',
        '{"id": "e1-a", "verdict": "keep", "when": "noon"}',
        '{"id": "e1-a", "verdict": "edit", "texts": {"instruction": "x"}}',
        '{"id": "e1-a", "verdict": "keep", "seconds": -1}',
        '{"id": "e1-a", "verdict": "edit", "texts": {"instruction": " ", "output": "x"}}',
        '{"id": "e1-a", "verdict": "keep", "texts": {"instruction": "x"}}',
        '{"id": "e1-a", "verdict": "drop", "why": 3}',
        "",
    ]
    path.write_text("\n".join(bad))
    with pytest.raises(UserErrors) as caught:
        read_decisions(path)
    told = [str(error) for error in caught.value.errors]
    assert [int(line.split(":")[1]) for line in told] == list(range(2, 14))
    assert all(" - " in line for line in told)
    assert (
        "merge conflict" in told[1]
        and "did you mean 'why'?" in told[5]
        and "known are: keep" in told[3]
    )


def test_a_line_that_a_crash_cut_off_stays_its_own(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    append(path, [Decision("e1-a", "keep")])
    path.write_bytes(path.read_bytes()[:-1] + b'\n{"id": "e1-b", "ver')
    append(path, [Decision("e1-c", "drop")])
    with pytest.raises(UserErrors) as caught:
        read_decisions(path)
    assert [str(error).split(":")[1] for error in caught.value.errors] == ["2"]
    path.write_bytes(
        b"".join(
            line for line in path.read_bytes().splitlines(keepends=True) if b"e1-b" not in line
        )
    )
    assert [line.id for line in read_decisions(path).lines] == ["e1-a", "e1-c"]


# ---- what curate makes of them


def curated(
    folder: Path, rows: Iterable[Example], *lines: Decision, **options: Any
) -> tuple[StageContext, dict[str, Any]]:
    at = bench(folder, rows)
    said: list[str] = []
    object.__setattr__(at.progress, "say", said.append)
    config = CurateConfig.model_validate(
        {"held_out": 1, "likeness": Decimal("0.85"), "decisions": Decisions(None, lines), **options}
    )
    summary = dict(STAGE.run(config, at).summary)
    assert summary["read"] == summary["kept"] + sum(summary["rejected"].values()) == len(list(rows))
    assert (
        len(ids(at.folder, "examples")) == summary["kept"] == summary["train"] + summary["held_out"]
    )
    return at, summary | {"said": said}


ALL_ROWS = [
    *ROWS,
    *BAD,
]  # BAD: one that a filter drops, one near duplicate of ROWS[0], one that is repaired


def test_none_is_the_same_identity_and_the_same_bytes(tmp_path: Path) -> None:
    plain, _ = curated(tmp_path / "plain", ALL_ROWS)
    noted, summary = curated(
        tmp_path / "noted",
        ALL_ROWS,
        Decision(ROWS[0].id, "note", "hm"),
        Decision("e1-x", "drop"),
        Decision("e1-x", "undo"),
    )
    assert tree_digest(plain.folder) == tree_digest(noted.folder) and "by_hand" not in summary
    assert (
        "decisions"
        not in CurateConfig().identity()
        == CurateConfig(decisions=Decisions(None, (Decision("e1-x", "note"),))).identity()
    )


def test_a_decision_of_each_kind(tmp_path: Path) -> None:
    media, near, repaired = BAD
    at, summary = curated(
        tmp_path,
        ALL_ROWS,
        decision(media, "keep"),
        decision(near, "keep"),
        decision(ROWS[1], "drop", why="wrong dose"),
        edit(ROWS[2], "A better answer."),
        decision(ROWS[3], "keep"),
        decision(row("gone"), "drop"),
    )
    assert summary["by_hand"] == {"kept": 3, "edited": 1, "dropped": 1, "rescued": 2, "gone": 1}
    assert summary["rejected"] == {"by_hand": 1}
    [dropped] = read_jsonl(at.folder / "rejected.jsonl")
    assert (dropped["id"], dropped["rule"], dropped["reason"]) == (
        ROWS[1].id,
        "by_hand",
        "wrong dose",
    )
    kept = {found["id"]: found for found in read_jsonl(at.folder / "examples.jsonl")}
    assert {media.id, near.id, ROWS[0].id, ROWS[3].id} <= kept.keys() and ROWS[2].id not in kept
    [new] = [found for found in kept.values() if found["output"] == "A better answer."]
    assert (
        new["origin"]["parents"] == [ROWS[2].id]
        and new["id"] == edit(ROWS[2], "A better answer.").to
    )
    pairs = {pair["before"]["id"]: pair for pair in read_jsonl(at.folder / "repaired.jsonl")}
    assert pairs[ROWS[2].id]["rule"] == "by_hand" and pairs[ROWS[2].id]["after"] == new
    assert pairs[repaired.id]["rule"] == "no_input"
    told = {found["id"]: found for found in read_jsonl(at.folder / "by_hand.jsonl")}
    assert (
        told[media.id]["rule"] == "empty_output"
        and told[near.id]["rule"] == "likeness"
        and told[near.id]["nearest"] == ROWS[0].id
    )
    assert told[ROWS[3].id] == {"id": ROWS[3].id, "verdict": "keep", "decided": ROWS[3].id}
    [sentence] = summary["said"]
    assert "1 of 6 manual decisions" in sentence and row("gone").id in sentence


def test_to_keep_what_is_kept_changes_no_row(tmp_path: Path) -> None:
    """Reading the whole dataset and agreeing costs no new training."""
    plain, _ = curated(tmp_path / "plain", ALL_ROWS)
    kept = [Example.from_row(found) for found in read_jsonl(plain.folder / "examples.jsonl")]
    agreed, _ = curated(tmp_path / "agreed", ALL_ROWS, *(decision(found, "keep") for found in kept))
    for name in ("examples", "train", "held_out", "rejected", "repaired", "groups"):
        assert (plain.folder / f"{name}.jsonl").read_bytes() == (
            agreed.folder / f"{name}.jsonl"
        ).read_bytes()


def test_they_hold_when_filters_change(tmp_path: Path) -> None:
    lines = (decision(BAD[0], "keep"), decision(ROWS[1], "drop"), edit(ROWS[2], "Short."))
    for name, options in (
        ("default", {}),
        ("none", {"filters": "none"}),
        ("strict", {"filters": {"min_words": {"least": 8}, "media": True}}),
        ("alike", {"likeness": Decimal("0.3")}),
        ("best", {"duplicates": {"keep": "best"}}),
        ("raw", {"repair": False}),
    ):
        try:
            at, _ = curated(tmp_path / name, ALL_ROWS, *lines, **options)
        except UserError as error:  # such a filter is not there
            raise AssertionError(name) from error
        kept = ids(at.folder, "examples")
        assert (
            BAD[0].id in kept
            and lines[2].to in kept
            and ROWS[1].id not in kept
            and ROWS[2].id not in kept
        ), name


def test_an_edit_of_an_edit_and_an_edit_taken_back(tmp_path: Path) -> None:
    first = edit(ROWS[0], "Once.")
    [once] = [one.example for one in coming([ROWS[0]], True, Decisions(None, (first,)))]
    second = edit(once, "Twice.")
    [twice] = [one.example for one in coming([ROWS[0]], True, Decisions(None, (first, second)))]
    assert twice.output == "Twice." and twice.origin.parents == (once.id,)
    [gone] = list(
        coming(
            [ROWS[0]],
            True,
            Decisions(None, (first, second, decision(twice, "drop", why="after all"))),
        )
    )
    assert (
        gone.dropped
        and gone.reason == "after all"
        and set(gone.used) == {ROWS[0].id, once.id, twice.id}
    )
    [back] = list(coming([ROWS[0]], True, Decisions(None, (first, edit(once, ROWS[0].output)))))
    assert back.example == ROWS[0] and back.before is None and back.kept
    at, summary = curated(tmp_path, ROWS, first, second)
    [pair] = read_jsonl(at.folder / "repaired.jsonl")
    assert (
        pair["before"]["id"] == ROWS[0].id
        and pair["after"]["output"] == "Twice."
        and summary["by_hand"]["gone"] == 0
    )


def test_a_repaired_row_is_found_by_either_of_its_ids(tmp_path: Path) -> None:
    raw = BAD[2]
    [mended] = [one.example for one in coming([raw], True, Decisions())]
    assert mended.id != raw.id
    for found in (raw, mended):
        at, _ = curated(tmp_path / found.id, ALL_ROWS, decision(found, "drop"))
        assert not {raw.id, mended.id} & set(ids(at.folder, "examples"))
    [kept] = list(coming([raw], True, Decisions(None, (decision(raw, "keep"),))))
    assert kept.example == raw  # to keep a text is to keep this text
    [both] = list(coming([raw], True, Decisions(None, (edit(mended, "Because it waved."),))))
    assert both.example.origin.details[
        "repair"
    ] == "no_input, by_hand" and both.example.origin.parents == (mended.id,)
    assert both.before == raw


def test_what_was_taken_out_does_not_come_back_as_its_copy(tmp_path: Path) -> None:
    rows = [*ROWS, replace(ROWS[1], id=f"{ROWS[1].id}#2"), replace(ROWS[2], id=f"{ROWS[2].id}#2")]
    at, summary = curated(
        tmp_path, rows, decision(ROWS[1], "drop", why="no"), edit(ROWS[2], "Better.")
    )
    assert summary["rejected"] == {"by_hand": 3} and not {ROWS[1].id, ROWS[2].id} & {
        id.split("#")[0] for id in ids(at.folder, "examples")
    }
    assert (
        "a copy of" in [found["reason"] for found in read_jsonl(at.folder / "rejected.jsonl")][-1]
    )
    own = replace(ROWS[1], id=f"{ROWS[1].id}#2")
    at, _ = curated(tmp_path / "own", rows, decision(ROWS[1], "drop"), decision(own, "keep"))
    assert own.id in ids(at.folder, "examples") and ROWS[1].id not in ids(at.folder, "examples")


def test_an_edit_into_another_row_gets_a_number_and_can_be_decided_on(tmp_path: Path) -> None:
    same = edit(ROWS[0], ROWS[1].output, instruction=ROWS[1].instruction)
    assert same.to == ROWS[1].id
    at, _ = curated(tmp_path / "two", ROWS[:4], same)
    kept = ids(at.folder, "examples")
    assert kept[0] == ROWS[1].id and len(set(kept)) == len(kept)
    numbered = replace(ROWS[1], id=f"{ROWS[1].id}#2")
    assert not {numbered.id} & set(
        ids(
            curated(tmp_path / "less", ROWS[:4], same, decision(numbered, "drop"))[0].folder,
            "examples",
        )
    )


WORDS = st.sampled_from(["tea", "poem", "river", "list", "short"])
PICK = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["keep", "drop", "edit", "undo"])), max_size=8
)


@given(
    st.lists(st.lists(WORDS, min_size=1, max_size=4).map(" ".join), min_size=4, max_size=10), PICK
)
@settings(max_examples=40, deadline=None)
def test_a_persons_word_stands(texts: list[str], picks: list[tuple[int, str]]) -> None:
    """Whatever the rows and the order: what counts last is what happens, and ids stay unique."""
    rows = list({example.id: example for example in map(row, texts)}.values())
    lines = [
        edit(of, f"By hand {number}.") if verdict == "edit" else decision(of, verdict)  # type: ignore[arg-type]
        for number, (place, verdict) in enumerate(picks)
        for of in [rows[place % len(rows)]]
    ]
    decided = Decisions(None, tuple(lines))
    how = CurationRules.of(
        CurateConfig.model_validate(
            {"filters": "stanford", "likeness": Decimal("0.5"), "decisions": decided}
        )
    )
    found = list(judged(rows, how))
    kept = [one.example.id for one in found if not one.rejected]
    assert len(found) == len(rows) and len(set(kept)) == len(kept)
    for of in rows:
        line = decided.by_id.get(of.id)
        if line:
            assert (of.id in kept) == (line.verdict == "keep")
            assert line.verdict != "edit" or line.to in kept


def test_no_grade_is_bought_for_what_a_person_dropped_or_wrote() -> None:
    decided = Decisions(
        None,
        (
            decision(ROWS[0], "drop"),
            edit(ROWS[1], "By hand."),
            decision(ROWS[2], "keep"),
            decision(BAD[0], "keep"),
        ),
    )
    how = CurationRules.of(CurateConfig.model_validate({"decisions": decided}))
    asked = [example.id for _, example in _to_grade([*ROWS[:4], BAD[0]], how)]
    assert asked == [ROWS[2].id, ROWS[3].id]


# ---- where a recipe finds them

RECIPE = "curate:\n  from: rows.jsonl\n  held_out: 1\n"


def recipe(home: Path, text: str = RECIPE) -> Path:
    write_jsonl(
        home / "rows.jsonl",
        ({"instruction": example.instruction, "output": example.output} for example in ROWS),
    )
    (home / "vet.yaml").write_text(text)
    return home / "vet.yaml"


def decisions_of(path: Path | str, runs: Path | None = None) -> Decisions:
    config = load_recipe(str(path), CATALOG, runs=runs).stages["curate"]
    assert isinstance(config, CurateConfig)
    return config.decisions


def test_they_lie_beside_the_recipe_or_where_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe(tmp_path)
    monkeypatch.chdir("/")
    assert decisions_of(path) == Decisions(tmp_path / "decisions.jsonl")
    append(tmp_path / "decisions.jsonl", [decision(ROWS[0], "drop")])
    assert decisions_of(path).by_id.keys() == {ROWS[0].id}
    append(tmp_path / "other.jsonl", [decision(ROWS[1], "keep")])
    assert decisions_of(recipe(tmp_path, f"{RECIPE}  decisions: other.jsonl\n")).by_id.keys() == {
        ROWS[1].id
    }
    assert decisions_of(recipe(tmp_path, f"{RECIPE}  decisions: false\n")) == Decisions()
    assert (
        decisions_of("quickstart", tmp_path / "runs").path
        == tmp_path / "runs" / "quickstart" / "decisions.jsonl"
    )
    assert decisions_of("quickstart").path is None
    assert (
        load_recipe(str(recipe(tmp_path)), CATALOG).rehearsed().stages["curate"].decisions
        == Decisions()
    )  # type: ignore[attr-defined]


def test_a_recipe_with_a_broken_line_is_told_which(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    (tmp_path / "decisions.jsonl").write_text('{"id": "e1-a", "verdict": "keep"}\n{"id": \n')
    with pytest.raises(
        UserErrors, match=r"decisions\.jsonl:2: this is not JSON - fix the line or remove it"
    ):
        load_recipe(str(path), CATALOG)


def test_they_go_along_in_a_pack(tmp_path: Path) -> None:
    """The copy of the recipe means the same, and can be reviewed on."""
    for name, text, lines in (
        ("none", RECIPE, 0),
        ("beside", RECIPE, 2),
        ("named", f"{RECIPE}  decisions: other.jsonl\n", 2),
    ):
        home, there = tmp_path / name, tmp_path / f"{name}-there"
        home.mkdir()
        path = recipe(home, text)
        if lines:
            append(
                home / ("other.jsonl" if name == "named" else "decisions.jsonl"),
                [decision(ROWS[0], "drop"), decision(ROWS[1], "keep")],
            )
        loaded = load_recipe(str(path), CATALOG)
        copy = portable(loaded)
        for inside, source in {**copy.files, "vet.yaml": path}.items():
            (there / inside).parent.mkdir(parents=True, exist_ok=True)
            (there / inside).write_bytes(source.read_bytes())
        (there / "vet.yaml").write_text(copy.text)
        assert same_recipe(loaded, load_recipe(str(there / "vet.yaml"), CATALOG)) == ""
        found = decisions_of(there / "vet.yaml")
        assert len(found.lines) == lines and found.path is not None


# ---- a file from a page


def test_a_page_s_file_is_taken_once(tmp_path: Path) -> None:
    page, own = tmp_path / "page.jsonl", tmp_path / "decisions.jsonl"
    append(own, [Decision("e1-b", "keep", when="2026-11-21T12:00:00+00:00")])
    lines = [
        Decision("e1-a", "drop", "no", session="s1", seconds=30),
        Decision("e1-b", "drop", when="2026-11-21T08:00:00+00:00"),
        Decision("e1-c", "note", "hm"),
    ]
    append(page, lines)
    taken = take(page, own, frozenset({"e1-a", "e1-b"}))
    assert (len(taken.new), taken.known, taken.older, taken.unknown) == (
        2,
        0,
        1,
        1,
    ) and taken.sittings == {"s1"}
    before = own.read_bytes()
    again = take(page, own, frozenset())
    assert (len(again.new), again.known, again.older) == (0, 2, 1) and own.read_bytes() == before
    append(page, [Decision("e1-d", "keep")])
    assert [line.id for line in take(page, own, frozenset()).new] == ["e1-d"]
    page.write_text("{}\n")
    with pytest.raises(UserErrors):
        take(page, own, frozenset())
    for wrong in (own, tmp_path / "nothing"):
        with pytest.raises(UserError, match="the page saved"):
            take(wrong, own, frozenset())


# ---- minutes


def test_long_pauses_do_not_count(tmp_path: Path) -> None:
    now = [0.0]
    sitting = ReviewSession(
        tmp_path / "decisions.jsonl", "anna", "s1", Decisions(), clock=lambda: now[0]
    )
    sitting.look()
    for gap, wanted in ((12.0, 12.0), (5000.0, PAUSE), (0.5, 0.5)):
        now[0] += gap
        assert sitting.decide(ROWS[0], "keep").seconds == wanted


def test_minutes_are_entered_once_whatever_was_killed(tmp_path: Path) -> None:
    ledger, rate = tmp_path / "ledger.sqlite", GpuTable(human_per_hour=Decimal(30))
    here, there = f"t1-{place_of(tmp_path, 'vet')}", f"t1-{place_of(tmp_path / 'elsewhere', 'vet')}"

    def enter(*seconds: float, table: GpuTable = rate) -> str:
        lines = [Decision("e1-a", "keep", seconds=each, session=here) for each in seconds]
        return enter_minutes(
            Decisions(None, (*lines, Decision("e1-b", "keep", seconds=900, session=there))),
            lambda name: name == here,
            ledger,
            "vet",
            table,
        )

    assert "gpu.human_per_hour" in enter(60, table=GpuTable()) and not ledger.exists()
    assert "$0.50" in enter(60) and "in the ledger already" in enter(60)
    assert "$1.00" in enter(60, 119.6, 0.4)  # the same sitting has grown
    assert "in the ledger already" in enter(60, 119.6, 0.4)
    with Journal.open(ledger, read_only=True) as journal:
        entries = list(journal.entries())
    assert [(entry.class_, entry.nanodollars, entry.stage) for entry in entries] == [
        ("human", 500_000_000, "curate"),
        ("human", 1_000_000_000, "curate"),
    ]
    assert enter_minutes(Decisions(), lambda name: True, ledger, "vet", rate) == ""


def test_alone_takes_them_too(tmp_path: Path) -> None:
    from rich.console import Console

    from alpaca_pipe.recipe.workspace import Workspace
    from alpaca_pipe.standalone import curate

    recipe(tmp_path)
    append(tmp_path / "mine.jsonl", [decision(ROWS[0], "drop", why="no")])
    done = curate(
        str(tmp_path / "rows.jsonl"),
        tmp_path / "clean",
        Workspace(tmp_path / "runs"),
        Console(quiet=True),
        options={"decisions": str(tmp_path / "mine.jsonl")},
    )
    assert done.summary["rejected"]["by_hand"] == 1 and done.summary["by_hand"]["dropped"] == 1
    [found] = [
        found
        for found in read_jsonl(tmp_path / "clean" / "rejected.jsonl")
        if found["rule"] == "by_hand"
    ]
    assert found["reason"] == "no" and json.loads(
        json.dumps(read_json(tmp_path / "clean" / "summary.json")["by_hand"])
    )


@pytest.mark.parametrize("repair", [True, False])
def test_what_a_worker_saw_without_decisions_is_put_right_with_them(repair: bool) -> None:
    """The road of engine ray, without a cluster: rows are looked at alone, and named and decided on afterwards."""
    media, _, repaired = BAD
    twin = Example.of(ROWS[1].instruction, ROWS[1].input, "Another answer.", ROWS[1].origin)
    rows = [*ALL_ROWS, twin]
    said = Decisions(
        None,
        (
            decision(media, "keep"),
            decision(repaired, "keep"),
            decision(ROWS[3], "drop"),
            edit(ROWS[1], "Another answer."),
        ),
    )
    how = replace(CurationRules.of(CurateConfig(repair=repair)), decisions=said)
    look = FirstPassSettings(how.filters, how.repair, how.duplicates)
    here = list(pipeline._here(rows, how, look, lambda done: None))
    alone = [look(row) for row in rows]
    assert list(pipeline._as_decided(alone, rows, how, look)) == here and len(
        {seen.id for seen in here}
    ) == len(rows)


def test_an_undo_that_came_later_wins_over_an_older_line_of_a_page(tmp_path: Path) -> None:
    lines = [
        replace(decision(ROWS[0], verdict), when=f"2026-11-21T10:{minute}:00+00:00")
        for verdict, minute in (("drop", "00"), ("drop", "05"), ("undo", "10"))
    ]
    append(tmp_path / "decisions.jsonl", [lines[0], lines[2]])
    append(tmp_path / "page.jsonl", [lines[1]])
    assert (
        take(tmp_path / "page.jsonl", tmp_path / "decisions.jsonl", frozenset({ROWS[0].id})).older
        == 1
    )
