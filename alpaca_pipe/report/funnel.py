"""From replies to training rows: how many came, how many went and why, and whether that adds up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from alpaca_pipe.report.run_files import RunFiles, StageFiles


@dataclass(frozen=True)
class StageFunnel:
    """One stage's part: `came` = `kept` + the sum of `dropped`."""

    kind: str
    came: int
    kept: int
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class Funnel:
    """too_long: rows to train on that train dropped; left_out: held-out rows that evaluate did not score.
    faults: a sentence for each place where the counts do not add up; empty: all do."""

    stretches: tuple[StageFunnel, ...]
    requests: int
    from_store: int
    repaired: int
    train: int
    held_out: int
    too_long: int
    left_out: int
    faults: tuple[str, ...]
    by_hand: Mapping[str, int] = field(
        default_factory=dict
    )  # what a person decided, as curate's summary counts it

    @property
    def trained(self) -> int:
        return self.train - self.too_long

    @property
    def first(self) -> int:
        return self.stretches[0].came if self.stretches else 0

    @property
    def last(self) -> int:
        return self.stretches[-1].kept if self.stretches else 0


def funnel(found: RunFiles) -> Funnel:
    """Read from the summaries, and counted again in the files."""
    generate, curate = found.step("generate"), found.step("curate")
    made, judged = generate.summary, curate.summary
    stretches = []
    if made and not _own_rows(found):
        stretches.append(
            StageFunnel(
                "generate", made.get("pieces", 0), made.get("accepted", 0), made.get("rejected", {})
            )
        )
    if judged:
        stretches.append(
            StageFunnel(
                "curate", judged.get("read", 0), judged.get("kept", 0), judged.get("rejected", {})
            )
        )
    return Funnel(
        tuple(stretches),
        made.get("requests", 0),
        made.get("from_store", 0),
        judged.get("repaired", 0),
        judged.get("train", 0),
        judged.get("held_out", 0),
        found.step("train").summary.get("dropped", 0),
        found.step("evaluate").summary.get("left_out", 0),
        (*_faults(stretches, generate, curate), *_untrained(curate, found.step("train"))),
        judged.get("by_hand", {}),
    )


def by_hand_in_words(counts: Mapping[str, int]) -> str:
    """`manual decisions: 12 kept, 2 dropped, 1 edited; 3 of them would have been dropped by a rule`."""
    said = (
        ", ".join(
            f"{counts[name]:,} {name}" for name in ("kept", "dropped", "edited") if counts[name]
        )
        or "no row was touched"
    )
    rescued = (
        f"; {counts['rescued']:,} of them a rule would have dropped" if counts["rescued"] else ""
    )
    gone = (
        f"; {counts['gone']:,} decisions are about rows that did not come" if counts["gone"] else ""
    )
    return f"manual decisions: {said}{rescued}{gone}"


def _own_rows(found: RunFiles) -> bool:
    """curate was given a file, so what generate made did not enter it."""
    return bool((found.config.get("curate") or {}).get("from"))


def _faults(
    stretches: list[StageFunnel], generate: StageFiles, curate: StageFiles
) -> Iterator[str]:
    for part in stretches:
        if part.came != part.kept + sum(part.dropped.values()):
            yield (
                f"{part.kind}: {part.came} came, but {part.kept} kept and {sum(part.dropped.values())} dropped make "
                f"{part.kept + sum(part.dropped.values())}"
            )
    if len(stretches) == 2 and stretches[0].kept != stretches[1].came:
        yield f"generate kept {stretches[0].kept}, but curate read {stretches[1].came}"
    split = curate.summary.get("train", 0) + curate.summary.get("held_out", 0)
    if curate.summary and split != curate.summary.get("kept", 0):
        yield f"curate: {curate.summary.get('kept', 0)} kept, but train and held out make {split}"
    for part in stretches:
        yield from _miscounted(part, generate if part.kind == "generate" else curate)


def _untrained(curate: StageFiles, train: StageFiles) -> Iterator[str]:
    """Where rows were lost between curate and the training."""
    if not curate.summary or "rows" not in train.summary:
        return
    given, trained, dropped = (
        curate.summary.get("train", 0),
        train.summary["rows"],
        train.summary.get("dropped", 0),
    )
    if given != trained + dropped:
        yield f"curate gave {given} to train on, but {trained} trained on and {dropped} dropped make {trained + dropped}"
    counted = sum(1 for _ in train.rows("dropped.jsonl"))
    if counted != dropped:
        yield f"train: dropped.jsonl holds {counted} rows, its summary says {dropped}"


def _miscounted(part: StageFunnel, step: StageFiles) -> Iterator[str]:
    """Where a file holds another number of rows than its summary says."""
    for name, said in (
        ("examples.jsonl", part.kept),
        ("rejected.jsonl", sum(part.dropped.values())),
    ):
        counted = step.count(name)
        if counted != said:
            yield f"{part.kind}: {name} holds {counted} rows, its summary says {said}"
