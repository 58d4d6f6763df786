"""Long conversations in pieces: nothing lost, nothing doubled, every border where a user speaks, held out together."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin, Rejected
from alpaca_pipe.core.files import read_json, read_jsonl, write_json, write_jsonl
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.curate.pieces import AROUND, WHOLE, Cutter, SplitLong, check_counted
from alpaca_pipe.curate.split import held_out_ids
from alpaca_pipe.report.reading_notes import reading_lines
from tests.command import command, told

FILE = Origin("imported", "chats.jsonl#1")


def by_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def size(system: str, messages: Sequence[Message]) -> int:
    """As the manual says it, apart from the code."""
    texts = [*([system] if system else []), *(one.text for one in messages)]
    return sum(len(text.split()) + 6 for text in texts)


text = st.integers(1, 40).map(lambda n: "word " * n + "end")
answers = st.lists(st.tuples(st.just("assistant"), text, st.booleans()), max_size=3)
exchange = st.tuples(st.tuples(st.just("user"), text, st.just(True)), answers).map(
    lambda both: [both[0], *both[1]]
)


@st.composite
def conversations(draw: st.DrawFn) -> Example:
    turns = [one for some in draw(st.lists(exchange, min_size=1, max_size=8)) for one in some]
    messages = [Message(role, said, learned) for role, said, learned in turns]  # type: ignore[arg-type]
    if not any(one.is_learned for one in messages):
        messages.append(Message("assistant", "Yes."))
    return Example.of_messages(messages, FILE, draw(st.sampled_from(["", "Be short."])))


@given(row=conversations(), most=st.integers(20, 200))
def test_the_pieces_are_the_conversation(row: Example, most: int) -> None:
    aside: list[Rejected] = []
    cutter = Cutter(most, by_words, aside.append)
    pieces = list(cutter(row))
    if pieces == [row]:
        assert not aside and not cutter.conversations
    else:
        told_again = [one.text for piece in pieces for one in piece.conversation()]
        there = [one.text for one in row.conversation()]
        put_aside = "\n".join(str(one.what) for one in aside)
        assert len(told_again) + len(put_aside.splitlines()) == len(there)
        assert set(told_again) | set(put_aside.splitlines()) == set(there)
        assert cutter.pieces == len(pieces) and cutter.conversations == 1
        assert all(one.rule == "do_not_learn" for one in aside)
    for piece in pieces:
        assert piece.conversation()[0].role == "user" and piece.system == row.system
        assert piece == row or piece.origin.parents == (row.id,)
        users = sum(one.role == "user" for one in piece.conversation())
        assert size(row.system, piece.conversation()) <= most or users == 1
    if not aside:  # as few as there can be: what was begun anew would not have fitted
        for one, after in pairwise(pieces):
            first = [*after.conversation()]
            end = next((n for n, m in enumerate(first) if n and m.role == "user"), len(first))
            assert size(row.system, [*one.conversation(), *first[:end]]) > most


def test_a_message_counts_six_tokens_more_as_in_fastchat() -> None:
    assert AROUND == 6
    row = Example.of_messages(
        [Message("user", "a b"), Message("assistant", "c"), Message("user", "d"), Message("assistant", "e f")], FILE
    )  # fmt: skip
    assert list(Cutter(30, by_words)(row)) == [row]
    assert len(list(Cutter(29, by_words)(row))) == 2


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=30),
    count=st.integers(0, 40),
)
def test_pieces_of_one_conversation_are_held_out_together(sizes: list[int], count: int) -> None:
    wholes = {f"{n}-{k}": f"whole {n}" for n, many in enumerate(sizes) for k in range(many)}
    found = held_out_ids(wholes, count, wholes)
    assert len(found) <= count
    for whole in set(wholes.values()):
        ids = {id for id, of in wholes.items() if of == whole}
        assert ids <= found or not ids & found
    if 1 in sizes and len(found) < count:  # nothing that fits was passed over
        left = {wholes[id] for id in wholes if id not in found}
        assert all(list(wholes.values()).count(one) > count - len(found) for one in left)


def rows(home: Path, many: int = 12) -> None:
    """Conversations of one to six exchanges, each with its own number in every text."""
    write_jsonl(
        home / "chats.jsonl",
        (
            {
                "conversations": [
                    {"from": who, "value": f"{who} {n} turn {k}: " + f"talk{n} " * 40}
                    for k in range(1 + n % 6)
                    for who in ("human", "gpt")
                ]
            }
            for n in range(many)
        ),
    )


RECIPE = """\
base: {{model: tiny}}
curate:
  from: chats.jsonl
  split_long: {split}
  filters: none
  likeness: 1
  held_out: 5
"""


def curated(home: Path, split: str) -> Path:
    rows(home)
    (home / "chats.yaml").write_text(RECIPE.format(split=split))
    told("run", "chats.yaml", cwd=home)
    steps = read_json(home / "runs" / "chats" / "lock.json")["steps"]
    return home / "runs" / "store" / str(steps["curate"])


def test_the_stage_cuts_counts_and_keeps_conversations_on_one_side(tmp_path: Path) -> None:
    folder = curated(tmp_path, "1500")
    summary = read_json(folder / "done.json")["summary"]
    kept = list(read_jsonl(folder / "examples.jsonl"))
    train, held = (list(read_jsonl(folder / f"{name}.jsonl")) for name in ("train", "held_out"))
    assert summary["read"] == summary["kept"] == len(kept) == len(train) + len(held)
    assert (summary["train"], summary["held_out"]) == (len(train), len(held))
    cut = summary["split_long"]
    said = f"{cut['conversations']} long conversations came in {cut['pieces']} pieces"
    assert said in reading_lines(summary)
    pieces = [row for row in kept if WHOLE in row["origin"].get("details", {})]
    assert summary["split_long"]["pieces"] == len(pieces) > summary["split_long"]["conversations"]
    numbers = [{row["instruction"].split()[1] for row in part} for part in (train, held)]
    assert not numbers[0] & numbers[1]
    texts = sum(len(row.get("messages", "ab")) for row in kept)
    assert texts == sum(2 * (1 + n % 6) for n in range(12))


def test_another_limit_is_another_step_and_none_is_as_before(tmp_path: Path) -> None:
    assert curated(tmp_path, "1500") != curated(tmp_path, "900")
    plain = CurateConfig.model_validate({"from": tmp_path / "chats.jsonl"})
    assert "split_long" not in plain.identity() and plain.shares() == ()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("curate: {from: chats.jsonl, split_long: 900, held_out: 2}\n", "no 'base:'"),
        ("base: {model: tiny}\ncurate: {from: chats.jsonl, split_long: 9}\n", "split_long"),
        ("base: {model: tiny}\nteacher: {kind: rehearsed, model: m, price: free}\ngenerate: {count: 9}\ncurate: {split_long: 900}\n", "cuts the conversations of `from`"),
    ],
)  # fmt: skip
def test_what_cannot_be_cut_is_said_in_the_plan(tmp_path: Path, recipe: str, said: str) -> None:
    rows(tmp_path)
    (tmp_path / "r.yaml").write_text(recipe)
    answer = command("plan", "r.yaml", cwd=tmp_path)
    assert answer.code == 2 and said in answer.out + answer.err
    assert "Traceback" not in answer.err


def test_the_sharegpt_file_of_fastchat(data: Path, tmp_path: Path) -> None:
    """The dummy conversations that FastChat trains its example on, cut to 64 tokens of LLaMA's tokenizer."""
    packed = data / "datasets" / "sharegpt_dummy_conversation.json.gz"
    found = json.loads(gzip.decompress(packed.read_bytes()))
    write_json(tmp_path / "chats.json", found)
    (tmp_path / "chats.yaml").write_text(
        "curate:\n  from: chats.json\n  held_out: 20\n  filters: none\n  likeness: 1\n"
        f"  split_long: {{tokens: 64, tokenizer: {data / 'llama_tokenizer' / 'tokenizer.json'}}}\n"
    )
    told("run", "chats.yaml", cwd=tmp_path)
    steps = read_json(tmp_path / "runs" / "chats" / "lock.json")["steps"]
    folder = tmp_path / "runs" / "store" / steps["curate"]
    summary = read_json(folder / "done.json")["summary"]
    kept = [Example.from_row(row) for row in read_jsonl(folder / "examples.jsonl")]
    assert summary["split_long"]["conversations"] > 0
    said = sorted(one.text for row in kept for one in row.conversation())
    assert said == sorted(turn["value"].strip() for one in found for turn in one["conversations"])


def test_a_piece_in_which_nothing_is_learned_is_told(tmp_path: Path) -> None:
    aside: list[Rejected] = []
    row = Example.of_messages(
        [Message("user", "a " * 30), Message("assistant", "b", learned=False),
         Message("user", "c " * 30), Message("assistant", "d")], FILE)  # fmt: skip
    (piece,) = Cutter(50, by_words, aside.append)(row)
    assert piece.output == "d" and aside[0].rule == "do_not_learn"
    assert "piece 1 of 2" in aside[0].reason and aside[0].source == FILE.source


def test_an_exchange_that_is_too_long_by_itself_stays_and_is_counted() -> None:
    cutter = Cutter(20, by_words)
    row = Example.of("a " * 50, "", "b", FILE)
    assert list(cutter(row)) == [row]
    assert cutter.summary() == {"split_long": {"conversations": 0, "pieces": 0, "over": 1}}


def test_an_error_names_the_cure() -> None:
    with pytest.raises(UserError, match="tokenizer"):
        check_counted(SplitLong(tokens=100), {}, True)
