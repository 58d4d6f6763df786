"""Chat templates as models ship them (those that TRL carries): each is trained as it is asked, or refused in a sentence."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin, Rejected
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.weights.tiny import byte_tokenizer
from tests.models.test_turns import CALLS, check_prompts, encoded, learned, rows

_FOUND = find_spec("trl")
FOLDER = Path(_FOUND.origin).parent / "chat_templates" if _FOUND and _FOUND.origin else Path()
FILES = sorted(
    path for path in FOLDER.glob("*.jinja") if not path.stem.endswith("_training")
)  # those are TRL's own
if not FILES:
    pytest.skip("no TRL with chat templates is installed", allow_module_level=True)

ENDS = {
    "cohere": "<|END_OF_TURN_TOKEN|>",
    "gemma": "<end_of_turn>",
    "gemma3": "<end_of_turn>",
    "llama3": "<|eot_id|>",
    "llama3_1": "<|eot_id|>",
    "phi3": "<|end|>",
    "qwen2_5": "<|im_end|>",
    "qwen3": "<|im_end|>",
}
REFUSED = {
    "deepseek_r1_distill": "where it asks for one",  # the prompt opens thoughts, an answer in the history has none
    "deepseekv3": "where it asks for one",
    "gptoss": "where it asks for one",  # the prompt leaves the channel open
    "muse_glimmer": "where it asks for one",
    "idefics3": "writes an answer 0 times",  # texts are parts of a content list
    "smolvlm": "writes an answer 0 times",
    "llava_next": "cannot write a question and its answer",
}
THINKS = {"qwen3", "glm4moe"}  # unless it is told not to


def with_template(path: Path) -> Any:
    """A token a byte, and every control token that the template names."""
    text, words = path.read_text(encoding="utf-8"), byte_tokenizer()
    control = (
        r"<\|[\w/]+\|?>|<[|｜][^<>]{1,40}[|｜]>|<(?:start_of_turn|end_of_turn|turn\|)>|\[/?INST\]"
    )
    words.add_special_tokens({"additional_special_tokens": sorted(set(re.findall(control, text)))})
    words.chat_template = text
    return words


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_is_trained_as_it_is_asked_or_refused(path: Path) -> None:
    words = with_template(path)
    try:
        encoder = Encoder(words, TEMPLATES["chat"])
    except UserError as error:
        assert REFUSED.get(path.stem, "no refusal") in str(error)
        return
    assert path.stem not in REFUSED
    assert encoder.form.end == ENDS.get(path.stem, encoder.form.end)
    assert any("without thinking" in note for note in encoder.form.notes) or path.stem not in THINKS
    trimmed = [
        Example.of_messages(
            [replace(one, text=one.text.strip() or "x") for one in row.messages], row.origin
        )
        for row in rows(40)
        if row.messages
    ]  # for many templates trim what is said
    check_prompts("chat", words, trimmed)
    system = Example.of_messages(
        [Message("user", "Hi."), Message("assistant", "Yo.")], Origin("seed"), "Be brief."
    )
    assert encoder.prompt_text(system).count("Be brief.") == 1
    ((one,),) = encoded(encoder, [system])
    assert one.learned == len(f"{encoder.form.before}Yo.{encoder.form.after}".encode()) + 1
    check_calls(encoder)


def check_calls(encoder: Encoder) -> None:
    """A call is learned as the template writes it, or the row is left out with a reason; never learned as nothing."""
    row = Example.of_messages(CALLS, Origin("seed"))
    (found,) = encoder.encode([row], 10**6)
    if isinstance(found, Rejected):
        assert re.search("no place for a tool's result|does not write the tool calls", found.reason)
        return
    call, answer = learned(encoder, row)
    assert "look" in call and "time" in call and answer.startswith(f"{encoder.form.before}Noon.")
    assert encoder.unsaid([row])["reasoning"] == ("A clock." not in call)
