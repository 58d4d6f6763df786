"""Ids, digests, keys and files: what everything else trusts."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.completion import PromptMessage, Request, Usage
from alpaca_pipe.core.config_table import Exact, ExistingPath, Knob, Table
from alpaca_pipe.core.example import Example, Origin, example_id, numbered
from alpaca_pipe.core.files import (
    canonical,
    file_digest,
    read_jsonl,
    tree_digest,
    write_atomic,
    write_jsonl,
)

SEED = Origin("seed", "seeds.jsonl#1")


@given(st.text(), st.text(), st.text())
def test_an_id_is_of_the_texts_in_their_places(a: str, b: str, c: str) -> None:
    assert example_id(a, b, c) == example_id(unicodedata.normalize("NFD", a), b, c)
    if (a, b) != (b, a) and unicodedata.normalize("NFC", a) != unicodedata.normalize("NFC", b):
        assert example_id(a, b) != example_id(b, a)
    if a:
        assert example_id(a + b, c) != example_id(a, b, c)


def test_texts_do_not_run_into_each_other() -> None:
    assert example_id("ab", "c") != example_id("a", "bc")


def test_a_row_survives_its_json() -> None:
    example = Example.of(
        "Say \u2028 it",
        "",
        "Done.",
        Origin("generated", "r1-0", ("e1-1",), {"place": "0/1/2"}),
        "Be kind.",
    )
    assert Example.from_row(example.to_row()) == example


def test_repeated_rows_are_numbered() -> None:
    row = Example.of("Do", "", "it", SEED)
    other = Example.of("Do", "", "that", SEED)
    assert [e.id for e in numbered([row, other, row, row])] == [
        row.id,
        other.id,
        f"{row.id}#2",
        f"{row.id}#3",
    ]


@given(st.lists(st.text(), max_size=5))
def test_any_text_survives_json_lines(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    write_jsonl(path, texts)
    assert list(read_jsonl(path)) == texts


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_digest_is_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "big"
    path.write_bytes(b"a" * (2 << 20))
    first = file_digest(path)
    assert file_digest(path) == first and len(list((tmp_path / "cache" / "digests").iterdir())) == 1
    path.write_bytes(b"b" * (2 << 20))
    assert file_digest(path) != first


def test_a_tree_is_its_names_and_contents(tmp_path: Path) -> None:
    for side in ("left", "right"):
        write_atomic(tmp_path / side / "a" / "b.txt", "same")
    assert tree_digest(tmp_path / "left") == tree_digest(tmp_path / "right")
    (tmp_path / "right" / "a" / "b.txt").rename(tmp_path / "right" / "a" / "c.txt")
    assert tree_digest(tmp_path / "left") != tree_digest(tmp_path / "right")


def test_a_request_is_found_by_whom_what_and_which_draw() -> None:
    ask = Request((PromptMessage("user", "hello"),), {"max_tokens": 5})
    whom = {"model": "m"}
    assert ask.key(whom) == Request((PromptMessage("user", "hello"),), {"max_tokens": 5}).key(
        {"model": "m"}
    )
    others = [
        Request((PromptMessage("system", "hello"),), {"max_tokens": 5}),
        Request(ask.messages, {"max_tokens": 6}),
        Request(ask.messages, ask.decoding, sample=1),
    ]
    assert (
        len({ask.key(whom), ask.key({"model": "n"}), *(other.key(whom) for other in others)}) == 5
    )


def test_classes_of_tokens_sum() -> None:
    usage = Usage(1, 2, 4, 8, 16)
    assert (usage.tokens_in, usage.tokens_out) == (7, 24)


class Own(Table):
    share: Exact = Decimal("0.5")
    speed: Annotated[int, Knob()] = 1
    file: ExistingPath | None = None


def test_an_identity_has_no_knob_and_no_path(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    own = Own.model_validate_json(
        '{"share": 0.7, "speed": 9, "file": "f"}', context={"folder": tmp_path}
    )
    assert own.share == Decimal("0.7")
    assert own.identity() == {"share": "0.7", "file": file_digest(tmp_path / "f")}
    assert str(tmp_path) not in canonical(own.identity())
