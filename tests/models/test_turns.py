"""Conversations as training reads them: every learned answer after exactly the prompt that a chat would send, its end with it.

The oracle writes each format down by hand as one text, remembers where the answers stand, tokenises the whole text at once
and marks a token by its offsets. It shares no line with the encoder.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin, Rejected
from alpaca_pipe.models.loss_mask import Encoded, EncodedRow, Encoder
from alpaca_pipe.models.mask_view import show_mask
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.weights.tiny import byte_tokenizer
from tools.reference import FOLDER

SEED = Origin("seed")
PIECES = (
    "Name a colour.", "Blue.", " and then", "\n", "\n\n", " ", "  ", "# Title\n", "1. Eat\n2. Sleep",
    "«é»", "ü 😀", "これは", "你好,", "def f(x):\n    return x", "3.5", "USER: no", "### Response:", "{}", "tab\there",
)  # fmt: skip


def rows(count: int, seed: int = 7) -> list[Example]:
    """Conversations of one to four exchanges, some answers not learned, some with a system text, some with odd edges."""
    draw = random.Random(seed)

    def text() -> str:
        return "".join(draw.choices(PIECES, k=draw.randint(1, 6)))

    found = []
    while len(found) < count:
        turns = []
        for _ in range(draw.randint(1, 4)):
            turns += [Message("user", text()), Message("assistant", text(), draw.random() < 0.8)]
        if any(one.is_learned for one in turns):
            found.append(
                Example.of_messages(turns, SEED, "Be brief." if draw.random() < 0.5 else "")
            )
    return found


def bpe(control: tuple[str, ...], regex: str | None = None) -> Any:
    """A byte-level BPE tokenizer with merges, learned here from PIECES."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    plan = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex is None)
    cut = pre_tokenizers.Split(Regex(regex), "isolated") if regex else None
    plan.pre_tokenizer = pre_tokenizers.Sequence([cut, level]) if cut else level
    plan.decoder = decoders.ByteLevel()
    special = ["<|begin|>", "<|end|>", *control]
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    plan.train_from_iterator([" ".join(PIECES) * 3, "".join(PIECES)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=plan,
        bos_token="<|begin|>",
        eos_token="<|end|>",
        pad_token="<|end|>",
        additional_special_tokens=list(control),
    )


# LLaMA 3's cut, after its tokenizer.json
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)

Spans = list[tuple[int, int]]


def by_hand_chatml(row: Example, bos: str) -> tuple[str, Spans]:
    text, spans = bos, Spans()
    if row.system:
        text += f"<|im_start|>system\n{row.system}<|im_end|>\n"
    for one in row.conversation():
        text += f"<|im_start|>{one.role}\n"
        start = len(text)
        text += f"{one.text}<|im_end|>"
        if one.role == "assistant" and one.learned:
            spans.append((start, len(text)))
        text += "\n"
    return text, spans


def by_hand_llama3(row: Example, bos: str) -> tuple[str, Spans]:
    text, spans = bos, Spans()
    said = [("system", row.system, False)] if row.system else []
    said += [
        (one.role, one.text, one.role == "assistant" and one.learned) for one in row.conversation()
    ]
    for role, what, learned in said:
        text += f"<|start_header_id|>{role}<|end_header_id|>\n\n"
        start = len(text)
        text += f"{what}<|eot_id|>"
        if learned:
            spans.append((start, len(text)))
    return text, spans


def by_hand_vicuna(row: Example, bos: str) -> tuple[str, Spans]:
    system = row.system or (
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
        "helpful, detailed, and polite answers to the user's questions."
    )
    text, spans = f"{bos}{system} ", Spans()
    for one in row.conversation():
        if one.role == "user":
            text += f"USER: {one.text} "
            continue
        text += "ASSISTANT:"
        start = len(text)
        text += f" {one.text}</s>" if "</s>" in bos_of(bos) else f" {one.text}<|end|>"
        if one.learned:
            spans.append((start, len(text)))
    return text, spans


def bos_of(bos: str) -> str:
    """LLaMA's and the byte tokenizer's end, for their beginning."""
    return "</s>" if bos == "<s>" else ""


ORACLES: dict[str, Callable[[Example, str], tuple[str, Spans]]] = {
    "chatml": by_hand_chatml,
    "llama3": by_hand_llama3,
    "vicuna": by_hand_vicuna,
}


def encoded(encoder: Encoder, examples: list[Example]) -> list[EncodedRow]:
    found = list(encoder.encode(examples, 10**6))
    assert [one for one in found if isinstance(one, Rejected)] == []
    return [one for one in found if isinstance(one, tuple)]


def check_against_oracle(name: str, tokenizer: Any, examples: list[Example]) -> int:
    """How many rows are compared token by token. The others have a token across an answer's edge in the whole text, or
    another one where an answer is read again; these are left to `check_prompts`."""
    encoder = Encoder(tokenizer, TEMPLATES[name])
    adds_bos = tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    alike = 0
    for example, got in zip(examples, encoded(encoder, examples), strict=True):
        text, spans = ORACLES[name](example, tokenizer.bos_token if adds_bos else "")
        whole = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        edges = {edge for span in spans for edge in span}
        if len(got) > 1 or any(a < edge < b for a, b in whole["offset_mapping"] for edge in edges):
            continue
        last = spans[-1][1]
        wanted = [
            (token, any(start <= a and b <= end and a < b for start, end in spans))
            for token, (a, b) in zip(whole["input_ids"], whole["offset_mapping"], strict=True)
            if b <= last
        ]
        assert list(zip(got[0].ids, got[0].mask, strict=True)) == wanted, example
        alike += 1
    return alike


def check_prompts(name: str, tokenizer: Any, examples: list[Example]) -> None:
    """Before each learned answer stand exactly the ids of apply_chat_template; it decodes to its text, and its end follows."""
    encoder = Encoder(tokenizer, TEMPLATES[name])
    for example, row in zip(examples, encoded(encoder, examples), strict=True):
        answers = [(one, span) for one in row for span in one.spans()]
        chat = [{"role": one.role, "content": one.text} for one in example.conversation()]
        if example.system:
            chat = [{"role": "system", "content": example.system}, *chat]
        skipped = bool(example.system)
        learned = [n + skipped for n, one in enumerate(example.conversation()) if one.is_learned]
        assert len(answers) == len(learned)
        for place, (one, (first, end)) in zip(learned, answers, strict=True):
            asked = tokenizer.apply_chat_template(
                chat[:place], chat_template=encoder.form.jinja, add_generation_prompt=True
            )["input_ids"]
            assert list(one.ids[:first]) == asked
            said = tokenizer.decode(one.ids[: end - 1], clean_up_tokenization_spaces=False)
            assert said.endswith(chat[place]["content"] + encoder.form.after)
            assert end - first > 1 and one.ids[end - 1] == encoder.form.end_id


TOKENIZERS: dict[str, Callable[[], Any]] = {
    "chatml": lambda: bpe(TEMPLATES["chatml"].control),
    "llama3": lambda: bpe(TEMPLATES["llama3"].control, _LLAMA3),
    "vicuna": lambda: bpe(()),
}


@pytest.mark.parametrize("name", [name for name, one in TEMPLATES.items() if one.body])
def test_a_template_has_an_oracle_a_tokenizer_and_its_row_in_the_manual(name: str) -> None:
    one = TEMPLATES[name]
    assert f"| `{name}` | " in (FOLDER / "recipes.md").read_text() and one.says, (
        f"'{name}': tools.reference"
    )
    if one.many_turns:
        assert name in ORACLES and name in TOKENIZERS, f"template '{name}' has no oracle by hand"


@pytest.mark.parametrize("name", list(ORACLES))
def test_the_mask_is_the_oracles_on_500_rows(name: str) -> None:
    examples, tokenizer = rows(500), TOKENIZERS[name]()
    assert check_against_oracle(name, tokenizer, examples) > 100
    check_prompts(name, tokenizer, examples)


@pytest.mark.parametrize("name", list(ORACLES))
def test_with_a_token_a_byte_no_row_is_left_to_chance(name: str) -> None:
    words = byte_tokenizer()
    words.add_special_tokens({"additional_special_tokens": list(TEMPLATES[name].control)})
    assert check_against_oracle(name, words, rows(500)) == 500


def test_vicuna_with_llamas_tokenizer(llama: Any) -> None:
    examples = rows(500)
    assert check_against_oracle("vicuna", llama, examples) > 100
    check_prompts("vicuna", llama, examples)


def sharegpt(data: Path) -> list[Example]:
    file = data / "datasets" / "sharegpt_dummy_conversation.json.gz"
    if not file.is_file():
        pytest.skip(f"the ShareGPT file is not here: {file}")
    roles: dict[str, Any] = {"human": "user", "gpt": "assistant"}
    with gzip.open(file) as stream:
        return [
            Example.of_messages(
                [Message(roles[turn["from"]], turn["value"]) for turn in row["conversations"]], SEED
            )
            for row in json.load(stream)
        ]


@pytest.mark.parametrize("name", list(ORACLES))
def test_a_sharegpt_file_is_the_oracles_on_every_row(name: str, data: Path) -> None:
    examples, tokenizer = sharegpt(data), TOKENIZERS[name]()
    assert check_against_oracle(name, tokenizer, examples) == len(examples) == 500
    check_prompts(name, tokenizer, examples[:60])


def test_a_sharegpt_file_with_llamas_tokenizer(llama: Any, data: Path) -> None:
    examples = sharegpt(data)
    assert check_against_oracle("vicuna", llama, examples) == 500


@pytest.mark.parametrize("name", ["chatml", "llama3", "vicuna"])
def test_the_tokenizers_own_template_is_read_as_ours(name: str) -> None:
    """The same template as the tokenizer's own: the same ids and the same mask."""
    tokenizer = TOKENIZERS[name]()
    ours = encoded(Encoder(tokenizer, TEMPLATES[name]), rows(40))
    tokenizer.chat_template = Encoder(tokenizer, TEMPLATES[name]).form.jinja
    assert encoded(Encoder(tokenizer, TEMPLATES["chat"]), rows(40)) == ours


def test_an_answer_that_is_read_again_otherwise_gets_a_sequence_of_its_own() -> None:
    """ "\\n" + "\\nRed" is one token when it is read again, and two where the second line feed is learned."""
    turns = [
        Message("user", "A colour?"),
        Message("assistant", "\n\nRed."),
        Message("user", "Another?"),
        Message("assistant", "Blue."),
    ]
    tokenizer = TOKENIZERS["chatml"]()
    example = Example.of_messages(turns, SEED)
    (row,) = encoded(Encoder(tokenizer, TEMPLATES["chatml"]), [example])
    assert len(row) == 2 and [len(one.spans()) for one in row] == [1, 1]
    check_prompts("chatml", tokenizer, [example])


FOREIGN = {
    # blanks around an answer, as LLaMA 2's; the model writes them
    "blanks": (
        "{% for m in messages %}{% if m.role == 'user' %}{{ '[I] ' + m.content + ' [/I]' }}"
        "{% else %}{{ ' ' + m.content + ' <|end|>' }}{% endif %}{% endfor %}"
    ),
    # the end is another token than EOS
    "other end": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    # system texts are refused, roles must alternate
    "strict": (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}"
        "{% elif (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}"
        "{% endif %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    # Qwen 3's: an answer without thoughts begins with empty ones, unless it is asked without
    "thinking": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{% if m.role == 'assistant' and loop.last %}"
        "{{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}{% endif %}"
        "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
        "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{% endif %}"
    ),
    # tools and thoughts come out
    "tools": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{% if m.reasoning_content %}{{ '<think>' + m.reasoning_content + '</think>' }}{% endif %}{{ m.content }}"
        "{% for call in m.tool_calls or [] %}{{ '<call>' + call.function.name + call.function.arguments.what + '</call>' }}"
        "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
}


def foreign(name: str) -> Encoder:
    tokenizer = bpe(("<|im_start|>", "<|im_end|>"))
    tokenizer.chat_template = FOREIGN[name]
    return Encoder(tokenizer, TEMPLATES["chat"])


def of(*texts: str, system: str = "") -> Example:
    turns = [Message("assistant" if n % 2 else "user", text) for n, text in enumerate(texts)]
    return Example.of_messages(turns, SEED, system)


def learned(encoder: Encoder, example: Example) -> list[str]:
    (row,) = encoded(encoder, [example])
    return [
        encoder.tokenizer.decode(one.ids[a:b], clean_up_tokenization_spaces=False)
        for one in row
        for a, b in one.spans()
    ]


def test_blanks_that_a_template_writes_around_an_answer_are_learned_with_it() -> None:
    encoder = foreign("blanks")
    assert learned(encoder, of("Hi.", "Yo.", "Bye.", "Ok.")) == [" Yo. <|end|>", " Ok. <|end|>"]
    check_prompts("chat", encoder.tokenizer, [of("Hi.", "Yo.", "Bye.", "Ok.")])


def test_the_end_is_what_the_template_writes_and_not_eos() -> None:
    encoder = foreign("other end")
    assert encoder.tokenizer.eos_token == "<|end|>" and encoder.form.end == "<|im_end|>"
    assert learned(encoder, of("Hi.", "Yo.", "Bye.", "Ok.")) == ["Yo.<|im_end|>", "Ok.<|im_end|>"]


def test_a_template_that_refuses_system_gets_it_before_the_users_text() -> None:
    encoder = foreign("strict")
    assert any("takes no system text" in note for note in encoder.form.notes)
    text = encoder.prompt_text(of("Hi.", "Yo.", system="Be brief."))
    assert text == "<|im_start|>user\nBe brief.\n\nHi.<|im_end|>\n<|im_start|>assistant\n"
    two = [Message("user", "Hi."), Message("user", "You there?"), Message("assistant", "Yo.")]
    (found,) = encoder.encode([Example.of_messages(two, SEED)], 1000)
    assert isinstance(found, Rejected) and "roles must alternate" in found.reason


def test_a_thinking_template_is_used_without_thinking() -> None:
    encoder = foreign("thinking")
    assert any("without thinking" in note for note in encoder.form.notes)
    row = of("Hi.", "Yo.", "Bye.", "Ok.")
    assert learned(encoder, row) == ["Yo.<|im_end|>", "Ok.<|im_end|>"]
    assert encoder.prompt_text(row).endswith("assistant\n<think>\n\n</think>\n\n")
    check_prompts("chat", encoder.tokenizer, [row])


CALLS = [
    Message("user", "What time is it?"),
    Message(
        "assistant",
        "",
        reasoning="A clock.",
        tool_calls=(
            {"type": "function", "function": {"name": "look", "arguments": '{"what": "time"}'}},
        ),
    ),
    Message("tool", "12:00", name="look"),
    Message("assistant", "Noon."),
]


def test_tool_calls_and_reasoning_are_learned_where_the_template_writes_them() -> None:
    encoder, example = foreign("tools"), Example.of_messages(CALLS, SEED)
    assert learned(encoder, example) == [
        "<think>A clock.</think><call>looktime</call><|im_end|>",
        "Noon.<|im_end|>",
    ]
    assert not encoder.unsaid([example])


def test_what_a_template_cannot_write_is_counted_or_refused() -> None:
    example = Example.of_messages(
        [*CALLS[:1], Message("assistant", "Noon.", reasoning="A clock.")], SEED
    )
    encoder = Encoder(TOKENIZERS["chatml"](), TEMPLATES["chatml"])
    assert learned(encoder, example) == ["Noon.<|im_end|>"]
    assert encoder.unsaid([example]) == {"reasoning": 1}
    (found,) = encoder.encode([Example.of_messages(CALLS, SEED)], 1000)
    assert (
        isinstance(found, Rejected) and "does not write the tool calls of message 2" in found.reason
    )
    given = [replace(one, learned=one.role != "assistant") for one in CALLS[:3]]
    half = Example.of_messages([*given, CALLS[3]], SEED)
    assert learned(encoder, half) == ["Noon.<|im_end|>"] and encoder.unsaid([half]) == {
        "reasoning": 1,
        "tool calls": 1,
    }
    vicuna = Encoder(TOKENIZERS["vicuna"](), TEMPLATES["vicuna"])
    (found,) = vicuna.encode([half], 1000)
    assert isinstance(found, Rejected) and "no place for a tool's result" in found.reason


@pytest.mark.parametrize("name", ["alpaca", "alpaca-2023"])
def test_stanfords_templates_hold_one_exchange(name: str) -> None:
    encoder = Encoder(byte_tokenizer(), TEMPLATES[name])
    (found,) = encoder.encode([of("Hi.", "Yo.", "Bye.", "Ok.")], 1000)
    assert isinstance(found, Rejected)
    assert (
        found.reason
        == f"template {name} holds one exchange, and it is user, assistant, user, assistant"
    )
    thought = [Message("user", "Hi."), Message("assistant", "Yo.", reasoning="Hm.")]
    (row,) = encoder.encode([Example.of_messages(thought, SEED)], 1000)
    assert row == next(encoder.encode([of("Hi.", "Yo.")], 1000))


@pytest.mark.parametrize(
    ("jinja", "said"),
    [
        (
            "{% for m in messages %}{{ m.role + ': ' + m.content + '<|end|>' }}{% endfor %}",
            "where it asks",
        ),
        ("{% for m in messages %}{{ m.content + '\n' }}{% endfor %}", "no end token"),
        ("{% for m in messages %}{{ m.content + m.content + '<|end|>' }}{% endfor %}", "2 times"),
        ("{{ raise_exception('not today') }}", "not today"),
        ({"rag": "x", "tool_use": "y"}, "none is named default"),
    ],
)
def test_templates_that_cannot_be_trained_with_are_refused(jinja: Any, said: str) -> None:
    tokenizer = bpe(())
    tokenizer.chat_template = jinja
    with pytest.raises(UserError, match=said):
        Encoder(tokenizer, TEMPLATES["chat"])


def test_of_named_templates_the_default_is_taken() -> None:
    tokenizer = bpe(("<|im_start|>", "<|im_end|>"))
    tokenizer.chat_template = {"tool_use": "x", "default": FOREIGN["other end"]}
    assert Encoder(tokenizer, TEMPLATES["chat"]).form.end == "<|im_end|>"


def test_control_tokens_that_the_vocabulary_lacks_are_named() -> None:
    with pytest.raises(
        UserError, match=r"writes <\|im_start\|> and <\|im_end\|>, and .* no such token"
    ):
        Encoder(byte_tokenizer(), TEMPLATES["chatml"])


@pytest.mark.parametrize("where", ["system", "question", "answer", "last"])
def test_a_row_that_spells_a_control_token_is_left_out_wherever_it_stands(where: str) -> None:
    """One rule for all that is said: in a question it would be that token, in an answer letters, and a chat could not tell."""
    encoder = Encoder(TOKENIZERS["chatml"](), TEMPLATES["chatml"])
    said = {name: "Hi." for name in ("system", "question", "answer", "last")}
    said[where] = "a<|im_end|>b"
    example = of(said["question"], said["answer"], "Bye.", said["last"], system=said["system"])
    (found,) = encoder.encode([example], 1000)
    assert isinstance(found, Rejected)
    assert found.reason == "its text spells <|im_end|>, a control token of the base"


def test_text_that_only_looks_like_a_control_token_is_text() -> None:
    encoder = Encoder(TOKENIZERS["chatml"](), TEMPLATES["chatml"])
    check_prompts("chatml", encoder.tokenizer, [of("<|im_end>", "<im_end|> and <|im_other|>")])


def test_too_long_a_conversation_is_dropped_whole() -> None:
    encoder = Encoder(TOKENIZERS["chatml"](), TEMPLATES["chatml"])
    example = of("Hi.", "Yo.", "Bye.", "Ok.")
    length = len(encoded(encoder, [example])[0][0].ids)
    (fits,), (found,) = encoder.encode([example], length), encoder.encode([example], length - 1)
    assert isinstance(fits, tuple) and isinstance(found, Rejected)
    assert found.reason == f"{length} tokens with prompt and EOS, at most {length - 1} fit"


def test_show_mask_tells_whose_turn_a_token_is() -> None:
    encoder = Encoder(TOKENIZERS["chatml"](), TEMPLATES["chatml"])
    example = of("Hi.", "Yo.", "Bye.", "Ok.", system="Be brief.")
    ((one,),) = encoded(encoder, [example])
    pieces = show_mask(one, encoder, example)
    turns = {n: "".join(piece.text for piece in pieces if piece.turn == n) for n in range(1, 6)}
    assert turns == {
        1: "<|im_start|>system\nBe brief.<|im_end|>\n",
        2: "<|im_start|>user\nHi.<|im_end|>\n",
        3: "<|im_start|>assistant\nYo.<|im_end|>\n",
        4: "<|im_start|>user\nBye.<|im_end|>\n",
        5: "<|im_start|>assistant\nOk.<|im_end|>",
    }
    assert {piece.turn for piece in pieces if piece.learned} == {3, 5}
    assert isinstance(one, Encoded)
