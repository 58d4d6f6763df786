"""Training = inference: what is joined decodes to the text, EOS is learned, and a saved tokenizer asks the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.models.loss_mask import Encoded, Encoder, joined
from alpaca_pipe.models.mask_view import show_mask
from alpaca_pipe.models.saved_template import save_template, saved_encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.weights.tiny import byte_tokenizer

SEED = Origin("seed")
BYTES = byte_tokenizer()
BYTES.add_special_tokens(
    {"additional_special_tokens": [token for one in TEMPLATES.values() for token in one.control]}
)
ENCODERS = {name: Encoder(BYTES, template) for name, template in TEMPLATES.items()}


def text_of(name: str, row: Example) -> str:
    template = TEMPLATES[name]
    return (template.with_input if row.input else template.without_input).format(
        instruction=row.instruction, input=row.input
    )


def encoded(encoder: Encoder, rows: list[Example], max_length: int = 10**6) -> list[Encoded]:
    return [row[0] for row in encoder.encode(rows, max_length) if isinstance(row, tuple)]


def faults(name: str, tokenizer: Any, rows: list[Example]) -> list[str]:
    """Of each row: BOS first, EOS last and learned, the whole decodes to prompt + output, the mask is the output."""
    found = []
    encoder = Encoder(tokenizer, TEMPLATES[name])
    for row, got in zip(rows, encoded(encoder, rows), strict=True):
        whole = tokenizer.decode(got.ids[1:-1], clean_up_tokenization_spaces=False)
        prompt = tokenizer.decode(
            [i for i, learned in zip(got.ids, got.mask, strict=True) if not learned][1:],
            clean_up_tokenization_spaces=False,
        )
        if not (
            got.ids[0] == tokenizer.bos_token_id
            and got.ids[-1] == tokenizer.eos_token_id
            and got.mask[-1]
            and whole == text_of(name, row) + row.output
            and prompt == text_of(name, row)
        ):
            found.append(row.id)
    return found


def reference(name: str, tokenizer: Any, rows: list[Example]) -> list[tuple[list[int], list[int]]]:
    """Stanford's way: the prompt alone, and prompt + output together; BOS by the tokenizer, EOS at the end."""
    texts = [text_of(name, row) for row in rows]
    prompts = tokenizer(texts)["input_ids"]
    wholes = tokenizer([text + row.output for text, row in zip(texts, rows, strict=True)])[
        "input_ids"
    ]
    return [
        (prompt, [*whole, tokenizer.eos_token_id])
        for prompt, whole in zip(prompts, wholes, strict=True)
    ]


@pytest.mark.parametrize("name", ["alpaca", "alpaca-2023"])
def test_llama_decodes_to_the_text(name: str, llama: Any, released: list[Example]) -> None:
    assert faults(name, llama, released[::40]) == []


def test_llama_differs_from_the_reference_only_where_a_token_was_merged(
    llama: Any, released: list[Example]
) -> None:
    rows = released[::40]
    merged = 0
    for (prompt, whole), got in zip(
        reference("alpaca-2023", llama, rows),
        encoded(Encoder(llama, TEMPLATES["alpaca-2023"]), rows),
        strict=True,
    ):
        if whole[: len(prompt)] == prompt:
            assert list(got.ids) == whole and got.mask.index(True) == len(prompt)
        else:
            merged += 1
            assert list(got.ids[: len(prompt)]) == prompt and whole[len(prompt) - 1] != prompt[-1]
    assert merged == 44  # of 1,301; 1,715 of all
    assert all(
        whole == list(got.ids)
        for (_, whole), got in zip(
            reference("alpaca", llama, rows),
            encoded(Encoder(llama, TEMPLATES["alpaca"]), rows),
            strict=True,
        )
    )


@pytest.mark.slow
def test_the_52k_with_stanfords_template(llama: Any, released: list[Example]) -> None:
    """ALPACA.md: 6,611,565 tokens the reference's way, 1,715 merged rows, 97 over 512, 51.5 % learned.

    Ours has 1,710 tokens more: in 1,710 of the 1,715 rows the merged token becomes two, in 5 the pieces merge anew.
    """
    rows = encoded(Encoder(llama, TEMPLATES["alpaca-2023"]), released)
    theirs = reference("alpaca-2023", llama, released)
    assert faults("alpaca-2023", llama, released) == []
    assert sum(len(whole) for _, whole in theirs) == 6_611_565
    differ = [
        n
        for n, ((_, whole), got) in enumerate(zip(theirs, rows, strict=True))
        if whole != list(got.ids)
    ]
    assert len(differ) == 1_715 and all(
        theirs[n][1][: len(theirs[n][0])] != theirs[n][0] for n in differ
    )
    tokens = sum(len(row.ids) for row in rows)
    assert (
        tokens == 6_611_565 + 1_710
        and round(100 * sum(row.learned for row in rows) / tokens, 1) == 51.6
    )
    assert max(len(row.ids) for row in rows) == 1_304
    assert sum(len(row.ids) > 512 for row in rows) == 97


@pytest.mark.slow
def test_the_52k_with_a_line_feed_has_no_merged_row(llama: Any, released: list[Example]) -> None:
    theirs = reference("alpaca", llama, released)
    rows = encoded(Encoder(llama, TEMPLATES["alpaca"]), released)
    assert faults("alpaca", llama, released) == []
    assert all(
        whole == list(got.ids) and got.mask.index(True) == len(prompt)
        for (prompt, whole), got in zip(theirs, rows, strict=True)
    )


def test_a_sentencepiece_answer_gets_no_dummy_blank(llama: Any) -> None:
    """The naive way, encode(a) + encode(b), puts a blank before every answer."""
    naive = llama("Red.", add_special_tokens=False)["input_ids"]
    ours = Encoder(llama, TEMPLATES["alpaca"]).answers(["Red."])[0]
    assert (
        llama.convert_ids_to_tokens(naive)[0] == "▁Red"
        and llama.convert_ids_to_tokens(ours)[0] == "Red"
    )


@pytest.mark.parametrize("scheme", ["first", "always"])
def test_metaspace_tokenizers_too(scheme: str) -> None:
    """Newer SentencePiece conversions add the dummy blank in the pre-tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "</s>", "▁", *(chr(n) for n in range(33, 127)), "\n", "é", "«", "»"]
    plan = Tokenizer(
        models.BPE({piece: n for n, piece in enumerate(pieces)}, [], unk_token="<unk>")
    )
    plan.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    plan.decoder = decoders.Metaspace(prepend_scheme=scheme)
    words = PreTrainedTokenizerFast(tokenizer_object=plan, eos_token="</s>", unk_token="<unk>")
    encoder = Encoder(words, TEMPLATES["alpaca"])
    assert words.convert_ids_to_tokens(encoder.answers(["Red"])[0]) == ["R", "e", "d", "</s>"]


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


@given(st.sampled_from(["alpaca", "alpaca-2023"]), texts, texts, texts, texts)
def test_any_text_comes_back(
    name: str, instruction: str, input: str, output: str, system: str
) -> None:
    row = Example.of(instruction, input, output, SEED, system)
    got = encoded(ENCODERS[name], [row])[0]
    before = f"{system}\n\n" if system else ""
    assert BYTES.decode(got.ids[1:-1]) == before + text_of(name, row) + output
    assert (
        got.learned == len(output.encode()) + 1
        and got.mask == (False,) * (len(got.ids) - got.learned) + (True,) * got.learned
    )


def test_braces_and_jinja_in_a_row_are_text() -> None:
    row = Example.of("{input} {{ bos_token }}", "{instruction} {% if %}", "{}", SEED)
    got = encoded(ENCODERS["alpaca"], [row])[0]
    assert (
        "### Instruction:\n{input} {{ bos_token }}\n\n### Input:\n{instruction} {% if %}\n"
        in BYTES.decode(got.ids)
    )


def test_an_eos_spelled_out_in_an_answer_does_not_end_it() -> None:
    ids = ENCODERS["alpaca"].answers(["a</s>b"])[0]
    assert (
        ids.count(BYTES.eos_token_id) == 1
        and ids[-1] == BYTES.eos_token_id
        and BYTES.decode(ids[:-1]) == "a</s>b"
    )


def test_too_long_a_row_is_dropped_whole() -> None:
    rows = [Example.of("a", "", "b" * n, SEED) for n in (1, 2)]
    fits = len(encoded(ENCODERS["alpaca"], rows)[0].ids)
    first, second = ENCODERS["alpaca"].encode(rows, fits)
    assert isinstance(first, tuple) and isinstance(second, Rejected)
    assert (
        second.what == rows[1]
        and second.reason == f"{fits + 1} tokens with prompt and EOS, at most {fits} fit"
    )


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_saved_and_reloaded_it_asks_the_same(name: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    save_template(tmp_path, ENCODERS[name])
    again = saved_encoder(AutoTokenizer.from_pretrained(tmp_path), tmp_path)
    rows = [
        Example.of("Add", "1, 2", "3", SEED),
        Example.of("Ünï", "", "x", SEED, system="Be brief."),
    ]
    assert again.prompts(rows) == ENCODERS[name].prompts(rows) and again.template.name == name
    assert ENCODERS["chat"].form.jinja == BYTES.chat_template  # saving left the tokenizer as it was
    assert BYTES.eos_token == "</s>"
    assert again.tokenizer.eos_token == ENCODERS[name].form.end  # what others stop at


@pytest.mark.parametrize(
    "asked",
    [
        {"content": "Add\n\n### Input:\n1, 2"},  # as a server hands it on: role and content alone
        {"content": "Add", "input": "1, 2"},
    ],
)
@pytest.mark.parametrize("name", ["alpaca", "alpaca-2023"])
def test_an_answered_chat_is_what_was_trained(name: str, asked: dict[str, str]) -> None:
    """The rendered conversation, answer included, is the training row; so is Stanford's prompt with an input."""
    row = Example.of("Add", "1, 2", "3", SEED)
    chat = [{"role": "user", **asked}, {"role": "assistant", "content": "3"}]
    form = ENCODERS[name].form
    ids = BYTES.apply_chat_template(chat, chat_template=form.jinja)["input_ids"]
    assert tuple(ids) == encoded(ENCODERS[name], [row])[0].ids
    prompt = TEMPLATES[name].with_input.format(instruction="Add", input="1, 2")
    assert form.write(chat[:1], True) == "<s>" + prompt
    assert ENCODERS[name].messages(row) == [{"role": "user", "content": "Add\n\n### Input:\n1, 2"}]


def test_a_tokenizer_that_would_spoil_the_answer_is_refused() -> None:
    from tokenizers import normalizers

    words = byte_tokenizer()
    words.backend_tokenizer.normalizer = normalizers.Replace("w", "v")
    with pytest.raises(UserError, match="does not give back the text 'word'"):
        Encoder(words, TEMPLATES["alpaca"])


def test_no_eos_and_no_chat_template_are_said() -> None:
    words = byte_tokenizer()
    words.chat_template = None
    with pytest.raises(UserError, match="has none - use template: alpaca"):
        Encoder(words, TEMPLATES["chat"])
    words.eos_token = None
    with pytest.raises(UserError, match="no end-of-text token"):
        Encoder(words, TEMPLATES["alpaca"])


def test_show_mask_joins_to_the_row_and_keeps_characters_whole() -> None:
    row = Example.of("Say «é»", "", "ü 😀", SEED)
    got = encoded(ENCODERS["alpaca"], [row])[0]
    pieces = show_mask(got, ENCODERS["alpaca"], row)
    assert "".join(piece.text for piece in pieces) == BYTES.decode(got.ids)
    assert [piece.text for piece in pieces if piece.learned] == ["ü", " ", "😀", "</s>"]


def test_joined() -> None:
    assert joined([1, 5], [6, 2]) == Encoded((1, 5, 6, 2), (False, False, True, True))
