"""An unpacked adapter, served: merged with its base once, into the user's cache, checked as `export` checks it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import cache_dir, digest_of
from alpaca_pipe.models.packed_adapter import adapter_in
from alpaca_pipe.models.run_as_base import base_folder
from alpaca_pipe.models.trained_model import Trained
from alpaca_pipe.serve.base_model import with_gguf
from alpaca_pipe.serve.model_choice import ModelChoice
from alpaca_pipe.weights.folder_digest import tuned_digest

_ROWS = (("Name a colour.", "", "Blue."), ("Add the numbers.", "2, 3", "5"))
_LONGEST = 1024  # tokens


def merged_choice(folder: Path, gguf: str, engine: str, say: Callable[[str], None]) -> ModelChoice:
    """The merged checkpoint, and for llama.cpp a Q8_0 of it. engine: as named on the command line, or "auto".

    Raises UserError where the adapter or its base is not as it was packed, or another file than that Q8_0 is asked for.
    """
    if gguf not in ("", "q8_0"):
        raise UserError(
            f"--gguf {gguf}: an adapter is served as q8_0", "leave --gguf out, or export the model"
        )
    trained = adapter_in(folder)
    name = f"{trained.recipe}-adapter"
    made = digest_of([tuned_digest(folder), trained.base_is])[:16]
    target = cache_dir() / "adapters" / made
    if not target.is_dir():
        say(f"{name}: merged with its base, once, in {target}")
        _merge(trained, target, say)
    run = trained.run or "that is not finished"
    chosen = ModelChoice(name, f"{name}: the adapter of run {run}", None, target, base=trained.base)
    if engine not in ("auto", "llama.cpp"):
        return chosen
    try:
        file = with_gguf(chosen, chosen).gguf
    except UserError as error:  # an architecture that is not written as GGUF
        if engine == "llama.cpp":
            raise
        say(f"not served by llama.cpp: {error.what}")
        return chosen
    return ModelChoice(name, chosen.about, file, target, base=trained.base)


def _merge(trained: Trained, target: Path, say: Callable[[str], None]) -> None:
    from alpaca_pipe.export.merge import merge
    from alpaca_pipe.models.loading import load_tokenizer
    from alpaca_pipe.models.saved_template import saved_encoder
    from alpaca_pipe.weights.base import Checkpoint

    encoder = saved_encoder(load_tokenizer(Checkpoint(str(trained.folder))), trained.folder)
    examples = [Example.of(*row, Origin("seed")) for row in _ROWS]
    rows = [one[0] for one in encoder.encode(examples, _LONGEST) if isinstance(one, tuple)]
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    dtype = str(trained.base.get("dtype", "float32"))
    try:
        merge(base_folder(trained, say), trained.folder, draft, dtype, rows, say)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
