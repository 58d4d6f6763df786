"""The base that a recipe tuned, served beside the tuned model: its own file where it is one, else a Q8_0 made of its checkpoint
once, in the user's cache. It is asked in its own chat template where it has one, else in the tuned model's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import cache_dir, digest_of, read_json
from alpaca_pipe.serve.model_choice import ModelChoice
from alpaca_pipe.weights.gguf import open_gguf
from alpaca_pipe.weights.known import KNOWN


def base_choice(tuned: ModelChoice, as_file: bool = True) -> ModelChoice:
    """The base of a tuned model, found when it is first asked for. as_file: one that is a GGUF stays that file; else its checkpoint.

    Raises UserError where it is not on this machine."""
    from pydantic import ValidationError

    from alpaca_pipe.models.run_as_base import base_of
    from alpaca_pipe.weights.base import resolve

    name = f"{tuned.name}-base"
    model = str(tuned.base.get("model", ""))
    if model in KNOWN and as_file:
        return ModelChoice(name, model, open_gguf(model), None)
    if model.endswith(".gguf") and as_file and Path(model).is_file():
        return ModelChoice(name, model, Path(model), None)
    try:
        workspace = tuned.checkpoint.parents[2] if tuned.checkpoint else None
        table = base_of(tuned.base, workspace)
    except ValidationError as error:
        raise UserError(
            f"the base of {tuned.name} is not here: {error.errors()[0]['msg']}",
            "fetch it, or talk to the tuned model alone",
        ) from None
    folder = Path(resolve(table, lambda said: None).source)
    if not folder.is_dir():
        raise UserError(
            f"the base of {tuned.name} is on the hub, and its folder is not known here",
            "name its folder in base.model, or talk to the tuned model alone",
        )
    return ModelChoice(name, str(folder), None, folder)


def with_gguf(base: ModelChoice, tuned: ModelChoice) -> ModelChoice:
    """The same with a GGUF, for llama.cpp. Raises UserError for an architecture that is not written."""
    if base.gguf is not None or base.checkpoint is None:
        return base
    from alpaca_pipe.export.gguf.write_gguf import Conversation, write_gguf
    from alpaca_pipe.models.loading import load_tokenizer
    from alpaca_pipe.weights.base import Checkpoint
    from alpaca_pipe.weights.folder_digest import checkpoint_digest

    tokenizer = load_tokenizer(Checkpoint(str(base.checkpoint)))
    jinja = str(tokenizer.chat_template or _template_of(tuned))
    made = digest_of([checkpoint_digest(base.checkpoint), jinja])[:16]
    file = cache_dir() / "bases" / made / "model-q8_0.gguf"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        bos = str(tokenizer.bos_token or "")
        asked = [{"role": "user", "content": "Hello."}]
        said = str(tokenizer.apply_chat_template(asked, chat_template=jinja, tokenize=False))
        begins = bool(bos) and said.startswith(bos)
        ends = _ends(base.checkpoint, tokenizer.eos_token_id)
        how = Conversation(jinja, ends, tokenizer.bos_token_id, tokenizer.pad_token_id, begins)
        draft = file.with_suffix(".part")
        try:
            write_gguf(base.checkpoint, draft, "q8_0", how, base.name)
            draft.rename(file)
        finally:
            draft.unlink(missing_ok=True)
    return ModelChoice(base.name, base.about, file, base.checkpoint)


def _template_of(tuned: ModelChoice) -> str:
    assert tuned.checkpoint is not None
    return (tuned.checkpoint / "chat_template.jinja").read_text(encoding="utf-8")


def _ends(folder: Path, eos: int) -> list[int]:
    said: Mapping[str, Any] = {}
    if (folder / "generation_config.json").is_file():
        said = read_json(folder / "generation_config.json")
    found = said.get("eos_token_id", eos)
    ends = found if isinstance(found, list) else [found]
    return [eos, *(one for one in ends if one != eos)]
