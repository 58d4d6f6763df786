"""What a teacher gives to learned places, computed once and stored in parts, so that a kill costs one part at most."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.models.loading import device
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.train.distill_loss import Taught, likeliest
from alpaca_pipe.train.micro_batches import IGNORED, Row, grouped

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_ROWS = 128  # of a part
_TOKENS = {
    "cpu": 512,
    "cuda": 8192,
}  # of a batch, since the logits of all its places are there at once


@dataclass(frozen=True)
class SoftTargets:
    """Of rows by their number: row n has the places starts[n] to starts[n + 1], in the order in which they are learned."""

    folder: Path
    starts: tuple[int, ...]
    alpha: float
    temperature: float

    def of(self, numbers: Sequence[int]) -> Taught:
        """All learned places of these rows, one row after the other; of a number below 0, a row that teaches nothing, none."""
        import torch

        ids, told, rest = [], [], []
        for number in numbers:
            if number < 0:
                continue
            part = _read(_file(self.folder, number // _ROWS))
            first = self.starts[number // _ROWS * _ROWS]
            at = slice(self.starts[number] - first, self.starts[number + 1] - first)
            ids.append(part["ids"][at])
            told.append(part["told"][at])
            rest.append(part["rest"][at])
        if not ids:
            empty = torch.zeros(0, 1)
            return Taught(empty.int(), empty, empty[:, 0], self.alpha, self.temperature)
        where = device()
        ranked, said, others = (torch.cat(one).to(where) for one in (ids, told, rest))
        return Taught(ranked, said, others, self.alpha, self.temperature)


@dataclass(frozen=True)
class AskedOfTeacher:
    """What is asked of a teacher. width: ids of the base; a teacher's further logits belong to no token."""

    top_k: int
    temperature: float
    alpha: float
    width: int


def key_of(teacher: Any, rows: Sequence[Encoded], wanted: AskedOfTeacher) -> str:
    """What decides the stored figures. teacher: the identity of its table."""
    asked = [1, teacher, wanted.top_k, wanted.temperature, wanted.width]
    digest = sha256(json.dumps(asked, sort_keys=True).encode())
    for row in rows:
        digest.update(json.dumps([list(row.ids), [int(one) for one in row.mask]]).encode())
    return digest.hexdigest()[:24]


def soft_targets(
    folder: Path,
    rows: Sequence[Encoded],
    load: Callable[[], PreTrainedModel],
    wanted: AskedOfTeacher,
    between: Callable[[int], None] = lambda rows: None,
) -> SoftTargets:
    """Those of `folder`, where parts that are missing are computed first. load: the teacher, asked for only then; between: told
    after each part how many rows are done, and may stop there."""
    data = [Row.of(row.ids, row.mask) for row in rows]
    starts = (0, *accumulate(row.learned for row in data))
    folder.mkdir(parents=True, exist_ok=True)
    model = None
    for first in range(0, len(data), _ROWS):
        file = _file(folder, first // _ROWS)
        if not file.exists():
            model = model or load().to(device()).eval()  # type: ignore[arg-type]
            _write(file, _told(model, data[first : first + _ROWS], wanted))
            between(min(first + _ROWS, len(data)))
    return SoftTargets(folder, starts, wanted.alpha, wanted.temperature)


def _told(
    model: PreTrainedModel, rows: Sequence[Row], wanted: AskedOfTeacher
) -> dict[str, torch.Tensor]:
    """Of all learned places of the rows, in their order. Rows of like length share a batch."""
    import torch

    numbered = [Row(row.ids, row.targets, number=at) for at, row in enumerate(rows)]
    numbered.sort(key=lambda row: (len(row.ids), row.number))
    found: list[Any] = [None] * len(rows)
    with torch.inference_mode():
        for batch in grouped(numbered, len(rows), _TOKENS[device().type]):
            for row, columns in zip(batch, _of_batch(model, batch, wanted), strict=True):
                found[row.number] = columns
    names = ("ids", "told", "rest")
    return {name: torch.cat([one[at] for one in found]) for at, name in enumerate(names)}


def _of_batch(
    model: PreTrainedModel, rows: Sequence[Row], wanted: AskedOfTeacher
) -> list[tuple[torch.Tensor, ...]]:
    import torch

    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    real = torch.zeros(len(rows), longest, dtype=torch.long)
    learned = torch.zeros(len(rows), longest, dtype=torch.bool)
    for at, row in enumerate(rows):
        ids[at, : len(row.ids)] = torch.tensor(row.ids)
        real[at, : len(row.ids)] = 1
        learned[at, : len(row.ids)] = torch.tensor([one != IGNORED for one in row.targets])
    first = min(row.opening for row in rows)
    keep = torch.arange(min(first, longest - 1), longest, device=model.device)
    logits = model(
        input_ids=ids.to(model.device),
        attention_mask=real.to(model.device),
        use_cache=False,
        logits_to_keep=keep,
    ).logits
    at = learned[:, int(keep[0]) :].to(model.device)
    said = logits[at][:, : wanted.width]
    columns = [one.cpu() for one in likeliest(said, wanted.top_k, wanted.temperature)]
    sizes = at.sum(1).tolist()
    return list(zip(*(one.split(sizes) for one in columns), strict=True))


def _file(folder: Path, part: int) -> Path:
    return folder / f"part-{part:05}.safetensors"


def _write(file: Path, columns: dict[str, torch.Tensor]) -> None:
    """Whole or not at all."""
    from safetensors.torch import save_file

    new = file.with_suffix(".new")
    save_file({name: one.contiguous() for name, one in columns.items()}, new)
    new.replace(file)


@cache
def _read(file: Path) -> dict[str, torch.Tensor]:
    """Mapped: what is not looked at is not in memory."""
    from safetensors.torch import load_file

    columns: dict[str, torch.Tensor] = load_file(file)
    return columns
