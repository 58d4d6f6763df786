"""Contestants whose templates end an answer with different tokens: each is asked for its own, and the export stops at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import read_json
from alpaca_pipe.evaluate.held_out import encode_alike
from alpaca_pipe.evaluate.samples import answers
from alpaca_pipe.export.merge import save
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.saved_template import save_template, saved_encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.weights.base import Checkpoint
from alpaca_pipe.weights.tiny import build_tiny, byte_tokenizer

CHATML = TEMPLATES["chatml"]
TURNS = [
    Message("user", "A colour?"),
    Message("assistant", "Red."),
    Message("user", "Another?"),
    Message("assistant", "Blue."),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EOS is </s>, and the chat template ends a turn with <|im_end|>: as in many a base with a chat template."""
    home = tmp_path_factory.mktemp("ends")
    words = byte_tokenizer()
    words.add_special_tokens({"additional_special_tokens": list(CHATML.control)})
    words.chat_template = CHATML.body
    words.save_pretrained(home / "words")
    (home / "base").mkdir()
    build_tiny(home / "base", home / "words")
    return home / "base"


def test_each_contestant_is_scored_with_its_own_end(base: Path) -> None:
    words = load_tokenizer(Checkpoint(str(base)))
    single = Example.of("A colour?", "", "Red.", Origin("seed"))
    encoders = {
        "ours": Encoder(words, TEMPLATES["alpaca"]),
        "chat": Encoder(words, TEMPLATES["chat"]),
    }
    found = encode_alike([single], encoders, 1000)
    ((ours,),), ((chat,),) = found.encoded["ours"], found.encoded["chat"]
    assert words.decode(ours.ids[-1]) == "</s>" and words.decode(chat.ids[-1]) == "<|im_end|>"
    assert ours.ids[-5:-1] == chat.ids[-5:-1] and ours.learned == chat.learned == 5


def test_every_learned_answer_of_a_conversation_is_scored(base: Path) -> None:
    words = load_tokenizer(Checkpoint(str(base)))
    encoders = {
        "ours": Encoder(words, TEMPLATES["vicuna"]),
        "chat": Encoder(words, TEMPLATES["chat"]),
    }
    example = Example.of_messages(TURNS, Origin("seed"))
    found = encode_alike([example], encoders, 1000)
    # the blank that vicuna puts before an answer is part of it there
    assert [sum(one.learned for one in found.encoded[name][0]) for name in ("ours", "chat")] == [
        6 + 7,
        5 + 6,
    ]
    assert encoders["ours"].prompts([example])[0][-10:] == list(
        words("ASSISTANT:")["input_ids"][1:]
    )


def test_the_saved_model_stops_at_the_learned_end_and_at_the_bases(
    base: Path, tmp_path: Path
) -> None:
    checkpoint, trained = Checkpoint(str(base)), tmp_path / "model"
    words = load_tokenizer(checkpoint)
    load_model(checkpoint, "float32").save_pretrained(trained)
    save_template(trained, Encoder(words, TEMPLATES["chat"]))
    save(load_model(checkpoint, "float32"), trained, tmp_path / "merged")
    ends = {words.convert_tokens_to_ids(token) for token in ("</s>", "<|im_end|>")}
    assert set(read_json(tmp_path / "merged" / "generation_config.json")["eos_token_id"]) == ends
    merged = load_tokenizer(Checkpoint(str(tmp_path / "merged")))
    assert merged.eos_token == "<|im_end|>"
    assert saved_encoder(merged, tmp_path / "merged").form.end == "<|im_end|>"


def test_a_sampled_answer_ends_at_the_templates_end(base: Path) -> None:
    """A model that says <|im_end|> at once has ended, whatever EOS is."""
    model, words = (
        load_model(Checkpoint(str(base)), "float32").eval(),
        load_tokenizer(Checkpoint(str(base))),
    )
    end = words.convert_tokens_to_ids("<|im_end|>")
    prompts = Encoder(words, TEMPLATES["chat"]).prompts([Example.of("Hi", "", "", Origin("seed"))])

    class Says(torch.nn.Module):
        def forward(self, hidden: Any) -> Any:
            logits = torch.zeros(*hidden.shape[:-1], len(words))
            logits[..., end] = 1.0
            return logits

    model.lm_head = Says()
    assert [one.ended for one in answers(model, words, prompts, 4, end)] == [True]
    assert [one.ended for one in answers(model, words, prompts, 4)] == [False]
