"""Packed texts: every token of the stream is predicted exactly once, and a text begins and ends as the tokenizer has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.models.packing import packed
from alpaca_pipe.weights.tiny import byte_tokenizer

pytest.importorskip("transformers")
WORDS = byte_tokenizer()


@given(
    texts=st.lists(st.text(max_size=30), min_size=1, max_size=8),
    length=st.integers(2, 40),
)
def test_every_token_is_predicted_once_in_its_own_order(texts: list[str], length: int) -> None:
    """The oracle spells the stream by hand: <s>, bytes, </s>."""
    stream = []
    for text in texts:
        spelled = [WORDS.convert_tokens_to_ids(one) for one in WORDS.tokenize(text)]
        stream += [WORDS.bos_token_id, *spelled, WORDS.eos_token_id]
    rows = packed(texts, WORDS, length)
    learned = [token for row in rows for token, yes in zip(row.ids, row.mask, strict=True) if yes]
    assert learned == stream[1:]
    assert [row.ids[0] for row in rows[1:]] == [row.ids[-1] for row in rows[:-1]]
    assert all(len(row.ids) == length for row in rows[:-1]) and 2 <= len(rows[-1].ids) <= length


def test_a_special_token_that_is_spelled_out_is_plain_text() -> None:
    row = packed(["a</s>b"], WORDS, 100)[0]
    assert row.ids.count(WORDS.eos_token_id) == 1 and row.ids[-1] == WORDS.eos_token_id


def test_of_llama_a_text_begins_with_its_bos_and_decodes_to_itself(data: Path) -> None:
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(data / "llama_tokenizer")
    text = "The Rhine </s> flows.\n\n  Then: 3.5"
    (row,) = packed([text], words, 200)
    assert row.ids[0] == words.bos_token_id and row.ids[-1] == words.eos_token_id
    assert words.decode(row.ids[1:-1]) == text
