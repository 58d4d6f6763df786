"""The work of [export]: merge, check, and write what others read."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.core.files import open_to_others, read_json, read_jsonl, write_atomic, write_json
from alpaca_pipe.data.cards import Fact, dataset_card, model_card
from alpaca_pipe.data.publish import publish
from alpaca_pipe.export.browser.static_folder import write_folder
from alpaca_pipe.export.config import (
    ALIGNED,
    HELD_OUT,
    ROWS,
    TRAIN,
    TRAINED,
    VERDICT,
    ExportConfig,
    bytes_of,
)
from alpaca_pipe.export.gguf.parts import all_parts, first_part
from alpaca_pipe.export.merge import merge
from alpaca_pipe.ledger.statements.card_facts import energy_so_far
from alpaca_pipe.models.loading import is_adapter, load_tokenizer, positions
from alpaca_pipe.models.loss_mask import Encoded, Encoder
from alpaca_pipe.models.nf4 import trained_on_nf4
from alpaca_pipe.models.saved_template import saved_encoder
from alpaca_pipe.recipe.stage import Outcome, StageContext
from alpaca_pipe.weights.base import Checkpoint, base_or_grown, resolve


def export(config: ExportConfig, context: StageContext) -> Outcome:
    """Writes merged/ (a checkpoint; README.md is its card), gguf/, browser/, onnx/ and dataset/ (README.md is its card).

    Summary: dataset (rows, train, test), forms, and where a model was merged: model (Agreement's fields, dtype,
    megabytes), and with gguf/ a list of GateFigures' fields with file, quantization, megabytes and sha256;
    with browser/ its files of the model, wllama's version and megabytes; with onnx/ what `write_onnx_folder` answers.
    """
    model, files, page, onnx = None, None, None, None
    if config.merge and _trained(context):
        model = _model(config, context)
        context.stop_here()
        files = _ggufs(config, context) if config.gguf else None
        context.stop_here()
        page = _browser(config, context) if config.browser else None
        context.stop_here()
        onnx = _onnx(context) if config.onnx else None
    elif config.merge:
        context.progress.say("this recipe has no 'train:', so only the dataset is exported")
    counts = _dataset(config, context) if config.dataset else {}
    return Outcome(
        {"dataset": counts, "forms": list(config.dataset)}
        | ({"model": model} if model else {})
        | ({"gguf": files} if files else {})
        | ({"browser": page} if page else {})
        | ({"onnx": onnx} if onnx else {})
    )


def _trained(context: StageContext) -> Path | None:
    """What is exported: the aligned model, else the tuned one."""
    return context.inputs.get(ALIGNED) or context.inputs.get(TRAINED)


def _model(config: ExportConfig, context: StageContext) -> dict[str, Any]:
    """The merged checkpoint, under its name only once it was checked; its figures."""
    folder, draft, note = (
        context.folder / "merged",
        context.scratch / "merged",
        context.scratch / "merged.json",
    )
    if folder.exists():
        kept: dict[str, Any] = read_json(note)
        return kept
    trained = _trained(context)
    assert trained is not None
    checkpoint = resolve(
        base_or_grown(context.tables["base"], context.inputs), context.progress.say
    )
    encoder = saved_encoder(load_tokenizer(Checkpoint(str(trained))), trained)
    shutil.rmtree(draft, ignore_errors=True)
    agreement = merge(
        checkpoint,
        trained,
        draft,
        config.dtype,
        _rows_to_check(config, context, encoder),
        context.progress.say,
    )
    size = sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())
    figures = agreement._asdict() | {"dtype": config.dtype, "megabytes": round(size / 1e6, 1)}
    write_atomic(draft / "README.md", _card(context, figures, encoder))
    write_json(note, figures)
    open_to_others(draft)
    draft.rename(folder)
    said = (
        f"reloaded from disk: logits within {agreement.max_difference:.1e} of what was trained "
        f"(limit {agreement.limit:.1e}), same first choice at {agreement.top1:.1%} of {agreement.positions} positions"
    )
    context.progress.say(said)
    return figures


def _ggufs(config: ExportConfig, context: StageContext) -> list[dict[str, Any]]:
    """The GGUF files, under their folder only when all of them passed; their figures."""
    folder, draft, note = (
        context.folder / "gguf",
        context.scratch / "gguf",
        context.scratch / "gguf.json",
    )
    if folder.exists():
        kept: list[dict[str, Any]] = read_json(note)
        return kept
    from alpaca_pipe.export.gguf.build import ggufs

    merged = context.folder / "merged"
    encoder = saved_encoder(load_tokenizer(Checkpoint(str(merged))), merged)
    examples = _examples_to_ask(context, encoder)
    shutil.rmtree(draft, ignore_errors=True)
    figures = ggufs(
        merged,
        draft,
        context.scratch,
        config.gguf,
        encoder,
        examples,
        context.progress.say,
        bytes_of(config.gguf_max_shard_size) if config.gguf_max_shard_size else None,
    )
    write_json(note, figures)
    open_to_others(draft)
    draft.rename(folder)
    return figures


def _examples_to_ask(context: StageContext, encoder: Encoder) -> list[Example]:
    """Rows whose questions a file for others is asked, held-out ones first."""
    rows = chain(read_jsonl(context.inputs[HELD_OUT]), read_jsonl(context.inputs[TRAIN]))
    some = [Example.from_row(row) for row in islice(rows, _QUESTIONS)]
    found = zip(some, encoder.encode(some, _LONGEST), strict=True)
    return [example for example, row in found if not isinstance(row, Rejected)]


def _browser(config: ExportConfig, context: StageContext) -> dict[str, Any]:
    """The folder with the page, under its name only once it is whole; what is in it."""
    folder, draft, note = (
        context.folder / "browser",
        context.scratch / "browser",
        context.scratch / "browser.json",
    )
    if folder.exists():
        kept: dict[str, Any] = read_json(note)
        return kept
    merged = context.folder / "merged"
    encoder = saved_encoder(load_tokenizer(Checkpoint(str(merged))), merged)
    said = base_or_grown(context.tables["base"], context.inputs).published.rpartition("/")[2]
    shutil.rmtree(draft, ignore_errors=True)
    found = write_folder(
        draft,
        f"{said}, tuned",
        f"{config.gguf[0].upper()}, by llama.cpp in this browser",
        all_parts(first_part(context.folder / "gguf", config.gguf[0])),
        encoder.template.many_turns,
        positions(Checkpoint(str(merged)), _LONGEST * 8),
    )
    write_json(note, found)
    open_to_others(draft)
    draft.rename(folder)
    context.progress.say(
        f"browser/, {found['megabytes']:.0f} MB: put it on any web host, or `python3 -m http.server`"
    )
    return found


def _onnx(context: StageContext) -> dict[str, Any]:
    """The folder with graph and page, under its name only once it passed its gate; what is in it."""
    folder, draft, note = (
        context.folder / "onnx",
        context.scratch / "onnx",
        context.scratch / "onnx.json",
    )
    if folder.exists():
        kept: dict[str, Any] = read_json(note)
        return kept
    from alpaca_pipe.export.onnx.onnx_folder import write_onnx_folder

    merged = context.folder / "merged"
    encoder = saved_encoder(load_tokenizer(Checkpoint(str(merged))), merged)
    said = base_or_grown(context.tables["base"], context.inputs).published.rpartition("/")[2]
    shutil.rmtree(draft, ignore_errors=True)
    found = write_onnx_folder(
        merged,
        draft,
        f"{said}, tuned",
        encoder,
        _examples_to_ask(context, encoder),
        context.progress.say,
    )
    write_json(note, found)
    open_to_others(draft)
    draft.rename(folder)
    context.progress.say("onnx/: put it on any web host, or `python3 -m http.server` in it")
    return found


_QUESTIONS = 200  # candidates for the prompts that are compared; some are too long, or no template writes them


def _rows_to_check(config: ExportConfig, context: StageContext, encoder: Encoder) -> list[Encoded]:
    examples = [Example.from_row(row) for row in read_jsonl(context.inputs[HELD_OUT])]
    longest = positions(resolve(base_or_grown(context.tables["base"], context.inputs)), _LONGEST)
    found = encoder.encode(examples, longest)
    fitting = (row[0] for row in found if not isinstance(row, Rejected))
    rows = list(islice(fitting, config.check_rows))
    if not rows:
        raise UserError(
            f"export: no held-out row is shorter than {longest} tokens, so the merged model cannot be checked",
            "hold more rows out with curate.held_out",
        )
    return rows


_LONGEST = 1024  # tokens; a comparison of logits gains nothing from longer rows


def _card(context: StageContext, figures: Mapping[str, Any], encoder: Encoder) -> str:
    trained = _trained(context)
    assert trained is not None
    method = "full"
    if is_adapter(trained):
        adapter = read_json(trained / "adapter_config.json")
        kind = (
            "QLoRA (base in nf4, taken back to whole weights)"
            if trained_on_nf4(trained)
            else "LoRA"
        )
        method = f"{kind}, rank {adapter['r']}, alpha {adapter['lora_alpha']}, merged"
    rows = sum(1 for _ in read_jsonl(context.inputs[TRAIN]))
    verdict = (
        read_json(context.inputs[VERDICT])["sentence"]
        if VERDICT in context.inputs
        else "not evaluated"
    )
    base = base_or_grown(context.tables["base"], context.inputs)
    first = base.tuned_from
    facts: list[Fact] = [
        *([("tuned before", f"began at {base.published}, tuned from {first}")] if first else []),
        ("method", method),
        ("training rows", str(rows)),
        ("template", encoder.template.name),
        *_input_fact(encoder),
        *([("trained further", "on preferences (align)")] if ALIGNED in context.inputs else []),
        ("verdict", verdict),
        *energy_so_far(context.journal, context.recipe),
    ]
    checks: list[Fact] = [
        ("answer positions compared", f"{figures['positions']} in {figures['rows']} held-out rows"),
        ("largest logit difference to the trained model", f"{figures['max_difference']:.2e}"),
        ("allowed (peft's own tolerance)", f"{figures['limit']:.2e}"),
        (
            f"largest further difference by rounding to {figures['dtype']}",
            f"{figures['rounding']:.2e}",
        ),
        ("same most probable token", f"{figures['top1']:.2%}"),
    ]
    if figures["effect"] is not None:
        checks.append(
            ("for comparison: largest difference made by the training", f"{figures['effect']:.2e}")
        )
    prompt = encoder.prompt_text(Example.of("Name a colour.", "", "", Origin("seed")))
    return model_card(first or base.published, method, prompt, facts, checks, context.terms)


def _input_fact(encoder: Encoder) -> list[Fact]:
    """How an input is given to a template that has a place for one."""
    place = encoder.template.with_input.partition("{instruction}")[2].partition("{input}")[0]
    return [("an input", f"stands in the user's text after {place!r}")] if place else []


def _dataset(config: ExportConfig, context: StageContext) -> dict[str, int]:
    folder = context.folder / "dataset"
    splits = {"train": context.inputs[TRAIN], "test": context.inputs[HELD_OUT]}
    counts = publish(folder, context.inputs[ROWS], splits, config.dataset, context.scratch)
    kinds: Counter[str] = Counter()
    with_system, asked = 0, set()
    for row in read_jsonl(context.inputs[ROWS]):
        kinds[row["origin"]["kind"]] += 1
        with_system += bool(row.get("system"))
        asked.add(row["origin"]["source"])
    replies = (
        context.journal.stored(source) for source in sorted(asked) if source.startswith("r1-")
    )
    teacher = ", ".join(
        sorted({reply.model_said for reply in replies if reply and reply.model_said})
    )
    write_atomic(
        folder / "README.md",
        dataset_card(
            counts,
            kinds,
            teacher,
            config.dataset,
            with_system,
            made_by=context.inputs[ROWS].parent.name,
            terms=context.terms,
        ),
    )
    return counts
