"""A GGUF file as a training checkpoint (fp32 safetensors), made once and kept in the user's cache."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import cache_dir, open_to_others, read_json, write_json
from alpaca_pipe.weights.gguf import gguf_digest, open_gguf
from alpaca_pipe.weights.gguf_header import GgufHeader, NoGguf, read_gguf_header
from alpaca_pipe.weights.known import KNOWN
from alpaca_pipe.weights.llama_cpp_ids import compare
from alpaca_pipe.weights.loading_info import loading_fault
from alpaca_pipe.weights.word_cuts import CUTS, cut_as, read_otherwise, unknown_cut

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ABANDONED = 3600.0  # seconds; a build takes minutes at most, so an older one was killed


def exported_path(model: str | Path) -> Path:
    """Where the checkpoint of a known weight or a GGUF file lies or will lie. It is whole when it is there."""
    former = _former_path(model)
    return former.with_name(f"{former.name}-cut") if reads_otherwise(model) else former


def reads_otherwise(model: str | Path) -> bool:
    """Whether transformers alone would give a GGUF's texts other ids than the model was pre-trained with."""
    if known := KNOWN.get(str(model)):
        return read_otherwise(known.cut)
    try:
        return read_otherwise(read_gguf_header(Path(model)).cut)
    except (OSError, NoGguf):  # said where it is opened
        return False


def _former_path(model: str | Path) -> Path:
    """Where it lay before words were cut by the file's own name for it (2026-11)."""
    name = KNOWN[str(model)].name if str(model) in KNOWN else Path(model).stem
    return cache_dir() / "checkpoints" / f"{name}-{gguf_digest(model)[:12]}"


def export_gguf(model: str | Path, say: Callable[[str], None] = lambda sentence: None) -> Path:
    """The checkpoint of a known weight or a GGUF file: from the cache, or dequantised now (15 to 70 s for 135M).

    Raises UserError when the file is missing, damaged or of an architecture that transformers cannot read, or the disk
    is full.
    """
    folder = exported_path(model)
    if folder.is_dir():
        return folder
    file = open_gguf(model)
    if (old := _former_path(model)) != folder and old.is_dir():
        say(
            f"the checkpoint in {old} gives some texts other ids than the model was pre-trained with: "
            "it is made again, and may be deleted"
        )
    say(f"{file.name} becomes a training checkpoint, once: {folder}")
    began = time.monotonic()
    with whole_folder(folder) as draft:
        compared = _export(file, draft)
    if compared:
        say(compared)
    say(f"checkpoint ready after {time.monotonic() - began:.0f} s")
    return folder


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A draft folder that becomes `folder` when the block ends well. Of two processes the first one wins."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for old in folder.parent.glob(f".{folder.name}.*"):
            if time.time() - old.stat().st_mtime > _ABANDONED:
                shutil.rmtree(old, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise UserError(
            f"{folder.parent} cannot be written: {error.strerror or error}",
            "set ALPACA_PIPE_CACHE to another folder",
        ) from None
    try:
        yield draft
        open_to_others(draft)
        try:
            os.rename(draft, folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """As `save_pretrained`, without what depends on how the tokenizer was loaded here: the same bytes offline and online,
    from a folder and from the hub."""
    tokenizer.save_pretrained(folder)
    config = read_json(folder / "tokenizer_config.json")
    write_json(
        folder / "tokenizer_config.json",
        {
            name: value
            for name, value in config.items()
            if name not in ("is_local", "local_files_only")
        },
    )


def _export(file: Path, draft: Path) -> str | None:
    """What the comparison with llama.cpp says."""
    import transformers
    from safetensors import SafetensorError

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    header = _header(file)
    try:
        with redirect_stderr(StringIO()):  # its bar has no switch
            model, tokenizer = _read(file)
    except (OSError, ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{file} cannot be made into a training checkpoint: {first}",
            "name the checkpoint that it was quantised from (base.model: org/name)",
        ) from None
    cut_as(tokenizer, header.cut, "tokenizer.ggml.add_bos_token" in header.metadata)
    compared = compare(file, tokenizer, header.cut is None or CUTS[header.cut].alike)
    try:
        model.save_pretrained(draft)
        save_tokenizer(tokenizer, draft)
    except (
        OSError,
        SafetensorError,
    ) as error:  # a full disk is an OSError, but for safetensors one of its own kind
        free = shutil.disk_usage(draft).free / 1e6
        needed = sum(weight.nbytes for weight in model.parameters()) / 1e6
        raise UserError(
            f"the checkpoint cannot be written to {draft.parent}: {error}",
            f"{needed:.0f} MB are needed and {free:.0f} are free; ALPACA_PIPE_CACHE names another folder",
        ) from None
    return compared


def _header(file: Path) -> GgufHeader:
    """Raises UserError for what is no whole GGUF, and for a vocabulary that cuts text in a way that is not known."""
    try:
        header = read_gguf_header(file)
    except NoGguf as error:
        raise UserError(
            f"{file} cannot be made into a training checkpoint: it {error}", "fetch the file again"
        ) from None
    if fault := unknown_cut(header.cut):
        raise UserError(
            f"{file} {fault}",
            "name the checkpoint that it was quantised from (base.model: org/name)",
        )
    return header


def _read(file: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Raises ValueError where weights are missing or left over: transformers would draw the missing at random."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # without dequantize=True the model could not be saved
    model, found = AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        output_loading_info=True,
        trust_remote_code=False,
    )
    if fault := loading_fault(found):
        raise ValueError(fault)
    return model, AutoTokenizer.from_pretrained(
        file.parent, gguf_file=file.name, trust_remote_code=False
    )
