"""A template of the user's own: the same ids as one of ours with that text, proved as ours are, refused in a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from transformers import AutoTokenizer

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.export.gguf.modelfile import blocks
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.own_template import own_template, template_of
from alpaca_pipe.models.saved_template import save_template, saved_encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.training_rows import training_rows
from tests.models.test_template import BYTES, encoded

SEED = Origin("seed")
ROWS = [
    Example.of("Name a colour.", "", "Blue.", SEED),
    Example.of("Add the numbers.", "2, 3", "5", SEED),
    Example.of("Say it.", "", "Ja.", SEED, system="Speak German."),
    Example.of("Sort.", "a\n\n### Input:\nb", "a, b", SEED),
]
TALK = Example.of_messages(
    [
        Message("user", "Hi"),
        Message("assistant", "Hello."),
        Message("user", "Bye"),
        Message("assistant", "See you."),
    ],
    SEED,
)
# As in every chat template of transformers, a line break right after a tag is dropped.
ALPACA = (
    "Below is an instruction that describes a task{% if input %}, paired with an input that provides further context{% endif %}. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{{ instruction }}{% if input %}\n\n\n### Input:\n{{ input }}{% endif %}\n\n\n### Response:\n{{ output }}\n"
)
DESK = "{% if system %}{{ system }} {% endif %}Q: {{ instruction }}{% if input %} ({{ input }}){% endif %}\n\nA: {{ output }}"


def file(folder: Path, text: str, name: str = "mine.jinja") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["chatml", "llama3", "vicuna", "alpaca", "alpaca-2023"])
def test_the_text_of_one_of_ours_gives_its_ids(name: str, tmp_path: Path) -> None:
    ours, own = TEMPLATES[name], own_template(file(tmp_path, TEMPLATES[name].body))
    assert own.own and not ours.own and own.many_turns >= ours.many_turns
    rows = [*ROWS[:1], ROWS[2], *([TALK] if ours.many_turns else [])]
    assert encoded(Encoder(BYTES, own), rows) == encoded(Encoder(BYTES, ours), rows)


def test_a_prompt_with_stanfords_words_gives_stanfords_ids(tmp_path: Path) -> None:
    own = Encoder(BYTES, own_template(file(tmp_path, ALPACA)))
    rows = [*ROWS[:2], ROWS[3]]
    assert encoded(own, rows) == encoded(Encoder(BYTES, TEMPLATES["alpaca"]), rows)


def test_a_prompt_is_asked_as_it_is_trained(tmp_path: Path) -> None:
    encoder = Encoder(BYTES, own_template(file(tmp_path, DESK)))
    said = [
        BYTES.decode(row.ids, clean_up_tokenization_spaces=False) for row in encoded(encoder, ROWS)
    ]
    assert said == [
        "<s>Q: Name a colour.\nA: Blue.</s>",
        "<s>Q: Add the numbers. (2, 3)\nA: 5</s>",
        "<s>Speak German. Q: Say it.\nA: Ja.</s>",
        "<s>Q: Sort. (a\n\n### Input:\nb)\nA: a, b</s>",
    ]
    for row, prompt in zip(encoded(encoder, ROWS), encoder.prompts(ROWS), strict=True):
        assert list(row.ids[: len(prompt)]) == prompt
        assert row.mask == (False,) * len(prompt) + (True,) * (len(row.ids) - len(prompt))


@pytest.mark.parametrize("text", [DESK, ALPACA, TEMPLATES["chatml"].body])
def test_a_shipped_folder_asks_the_same_without_the_file(text: str, tmp_path: Path) -> None:
    path = file(tmp_path, text)
    encoder = Encoder(BYTES, own_template(path))
    (tmp_path / "model").mkdir()
    save_template(tmp_path / "model", encoder)
    path.unlink()
    again = saved_encoder(AutoTokenizer.from_pretrained(tmp_path / "model"), tmp_path / "model")
    rows = [*ROWS, *([TALK] if encoder.template.many_turns else [])]
    assert again.prompts(rows) == encoder.prompts(rows)
    assert again.template.name == "mine.jinja"
    assert again.template.many_turns == encoder.template.many_turns
    assert str(tmp_path) not in (tmp_path / "model" / "template.json").read_text()


def test_ollama_is_told_of_it(tmp_path: Path) -> None:
    encoder = Encoder(BYTES, own_template(file(tmp_path, TEMPLATES["vicuna"].body)))
    ours = Encoder(BYTES, TEMPLATES["vicuna"])
    assert blocks(encoder.form, "") == blocks(ours.form, "") is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Q: {{ instruction }}\nA:", "uses neither `messages` nor `output`"),
        ("Q: {{ instruction }} {{ output }} {{ output }}", "{{ output }} 2 times"),
        ("A: {{ output }}", "leaves `instruction` out"),
        ("{{ instruction }} {{ inptu }} {{ output }}", "uses `inptu`, which a row does not have"),
        ("{% if input %}{{ instruction }} {{ output }}{% endif %}", "inside a block"),
        ("one\n{{ instruction {{ output }}", "mine.jinja:2: "),
        (
            "{% include 'other.jinja' %}{{ instruction }}{{ output }}",
            "mine.jinja:1: it reads another file",
        ),
        ("{% import '/etc/passwd' as x %}{{ instruction }}{{ output }}", "it reads another file"),
        ("{% for m in messages %}{{ m.role }}{% endfor %}", "leaves the answer out"),
        ("{% for m in messages %}{{ m.content * 2 }}{% endfor %}", "writes an answer 2 times"),
        (
            "{% for m in messages if m.role != 'user' %}{{ m.content }}{% endfor %}",
            "leaves the question out",
        ),
        ("{{ messages[0].content.__class__.__mro__ }}", "cannot write a row: "),
        ("{{ messages[9].content }}", "cannot write a row: "),
        (
            "{% macro m() %}{{ m() }}{% endmacro %}{{ messages }}{{ m() }}",
            "cannot write a row: maximum recursion",
        ),
        ("{{ messages * 9999999999999999 }}", "cannot write a row: it needs more memory"),
        ("{{ raise_exception('not today') }}{{ messages }}", "cannot write a row: not today"),
    ],
)
def test_what_is_wrong_with_a_file_is_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as told:
        own_template(file(tmp_path, text))
    assert told.value.cure and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{% for m in messages %}[{{ m.content }}]\n{% endfor %}{% if add_generation_prompt %}[{% endif %}",
            "no end token",
        ),
        (
            "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}",
            "what is trained would not be what is asked",
        ),
    ],
)
def test_it_is_proved_with_the_tokenizer_as_ours_are(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as told:
        Encoder(BYTES, own_template(file(tmp_path, text)))
    assert told.value.cure == "fix mine.jinja"


def test_a_row_that_it_fails_on_is_named(tmp_path: Path) -> None:
    text = (
        "{% for m in messages %}{% if 'numbers' in m.content %}{{ raise_exception('no sums') }}{% endif %}"
        "{{ m.role }}: {{ m.content }}{{ eos_token if m.role == 'assistant' else '' }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    path = file(tmp_path, text)
    config = TrainConfig.model_validate({"template": path, "control": "none"})
    rows = [ROWS[0], ROWS[1], TALK]
    write_jsonl(tmp_path / "train.jsonl", (row.to_row() for row in rows))
    encoder = Encoder(BYTES, template_of(config.template))
    with pytest.raises(UserError, match=rf"mine.jinja fails on row 2 \({ROWS[1].id}\): .*no sums"):
        training_rows(config, tmp_path / "train.jsonl", encoder, tmp_path, lambda _: None)


def test_its_content_decides_the_step_and_its_path_does_not(tmp_path: Path) -> None:
    def identity(path: Path) -> dict[str, Any]:
        return TrainConfig.model_validate({"template": str(path)}).identity()

    here = identity(file(tmp_path, DESK))
    assert identity(file(tmp_path, DESK, "other.jinja")) == here
    assert identity(file(tmp_path, DESK + " ")) != here
    assert str(tmp_path) not in json.dumps(here)
    assert TrainConfig.model_validate({}).identity()["template"] == "alpaca"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("chatlm", "did you mean 'chatml'"),
        ("nowhere.jinja", "no such file or folder"),
        (3, "should be one of"),
    ],
)
def test_a_wrong_name(named: object, said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        TrainConfig.model_validate({"template": named})
