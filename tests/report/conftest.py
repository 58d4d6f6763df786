"""A workspace as a run leaves it: real files, small; the money in a real journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.core.files import write_json, write_jsonl
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.pricing.token_prices import Price, PriceTable
from alpaca_pipe.ledger.store.journal import Journal
from tests.ledger.rows import machine_time

TEXTS = (
    ("Name three drinks that are served hot.", "", "Tea, coffee and cocoa."),
    (
        "Rewrite the sentence in the past tense.",
        "She walks to the harbour.",
        "She walked to the harbour.",
    ),
    (
        "Explain why leaves turn red in autumn.",
        "",
        "The tree stops making chlorophyll, and other pigments show.",
    ),
    ("Give the opposite of the word.", "generous", "Stingy."),
    ("Suggest a title for a story about a lighthouse.", "", "The Last Keeper"),
    ("Convert the temperature to Celsius.", "212 F", "100 °C"),
)
MACHINE = {
    "python": "3.12.4",
    "system": "Linux",
    "arch": "x86_64",
    "cores": 2,
    "versions": {"alpaca-pipe": "0.1.0", "torch": "2.13.0"},
}
VERDICT = {
    "verdict": "better",
    "sentence": "better: held-out loss 2.131 -> 1.672 on 2 rows",
    "rows": 16,
    "tokens": 812,
    "loss": {
        "base": {"mean": 2.131, "lo": 1.905, "hi": 2.388},
        "chat": {"mean": 1.934, "lo": 1.71, "hi": 2.18},
        "shuffled": {"mean": 2.048, "lo": 1.83, "hi": 2.29},
        "tuned": {"mean": 1.672, "lo": 1.47, "hi": 1.89},
    },
    "difference": {
        "base": {"mean": -0.459, "lo": -0.552, "hi": -0.371},
        "chat": {"mean": -0.262, "lo": -0.36, "hi": -0.166},
        "shuffled": {"mean": -0.376, "lo": -0.471, "hi": -0.284},
    },
    "missing": {},
    "left_out": 0,
}


def examples(texts: Sequence[tuple[str, str, str]] = TEXTS) -> list[Example]:
    return [
        Example.of(
            *text,
            Origin(
                "generated",
                f"r1-{place // 2:032x}",
                ("e1-seed0", "e1-seed1"),
                {"place": f"0/{place // 2}/{place % 2}", "nearest": "e1-seed0", "score": 0.31},
            ),
        )
        for place, text in enumerate(texts)
    ]


class Workspace:
    """Writes what the stages write."""

    def __init__(self, root: Path, recipe: str = "tea") -> None:
        self.root, self.recipe = root, recipe
        self.config: dict[str, Any] = {"name": recipe, "seed": 42}
        self.steps: dict[str, str] = {}

    def step(
        self,
        kind: str,
        summary: Mapping[str, Any],
        files: Mapping[str, Any] | None = None,
        *,
        sealed: bool = True,
        config: Mapping[str, Any] | None = None,
        seconds: float = 90.0,
    ) -> Path:
        folder = self.root / "store" / f"{kind}-{len(self.steps):016x}"
        write_json(
            folder / "stage.json",
            {"kind": kind, "version": 1, "config": dict(config or {}), "uses": {}, "inputs": {}},
        )
        for name, content in (files or {}).items():
            (write_jsonl if name.endswith(".jsonl") else write_json)(folder / name, content)
        if sealed:
            write_json(
                folder / "done.json",
                {
                    "summary": summary,
                    "files": {},
                    "started": "2026-11-20T10:00:00+00:00",
                    "run": "run-1",
                    "finished": "2026-11-20T10:01:30+00:00",
                    "seconds": seconds,
                    "planned_minutes": 2.0,
                    "machine": MACHINE,
                },
            )
        self.steps[kind] = folder.name
        self.config[kind] = dict(config or {})
        return folder

    def close(self, outcome: str = "done", rehearsal: bool = False) -> None:
        own = self.root / self.recipe
        write_json(
            own / "lock.json", {"recipe": self.recipe, "config": self.config, "steps": self.steps}
        )
        write_jsonl(
            own / "history.jsonl",
            [
                {
                    "run": "run-1",
                    "at": "2026-11-20T10:09:00+00:00",
                    "outcome": outcome,
                    "steps": self.steps,
                    "overrides": [],
                    "config": self.config,
                    "minutes": dict.fromkeys(self.steps, 1.5),
                    "rehearsal": rehearsal,
                }
            ],
        )

    def generate(
        self, rows: Sequence[Example], dropped: Sequence[Rejected] = (), **more: Any
    ) -> None:
        rules = {
            rule: sum(row.rule == rule for row in dropped)
            for rule in dict.fromkeys(row.rule for row in dropped)
        }
        self.step(
            "generate",
            {
                "requests": (len(rows) + len(dropped)) // 2,
                "from_store": 0,
                "accepted": len(rows),
                "pieces": len(rows) + len(dropped),
                "rejected": rules,
            }
            | more,
            {
                "examples.jsonl": [row.to_row() for row in rows],
                "rejected.jsonl": [row.to_row() for row in dropped],
            },
        )

    def curate(
        self,
        rows: Sequence[Example],
        dropped: Sequence[Rejected] = (),
        held_out: int = 2,
        **more: Any,
    ) -> None:
        rules = {
            rule: sum(row.rule == rule for row in dropped)
            for rule in dict.fromkeys(row.rule for row in dropped)
        }
        kept = [row.to_row() for row in rows]
        self.step(
            "curate",
            {
                "read": len(rows) + len(dropped),
                "kept": len(rows),
                "repaired": 0,
                "rejected": rules,
                "train": len(rows) - held_out,
                "held_out": held_out,
            }
            | more,
            {
                "examples.jsonl": kept,
                "train.jsonl": kept[held_out:],
                "held_out.jsonl": kept[:held_out],
                "rejected.jsonl": [row.to_row() for row in dropped],
                "repaired.jsonl": [],
            },
        )

    def train(self, dropped: Sequence[Rejected] = (), **more: Any) -> None:
        rows = [
            {
                "step": step,
                "loss": 2.4 - 0.1 * step if which == "tuned" else 2.5 - 0.02 * step,
                "which": which,
            }
            for which in ("tuned", "control")
            for step in range(1, 9)
        ]
        self.step(
            "train",
            {"steps": 8, "dropped": len(dropped)} | more,
            {"loss.jsonl": rows, "dropped.jsonl": [row.to_row() for row in dropped]},
            seconds=240,
        )

    def evaluate(
        self,
        rows: Sequence[Example],
        verdict: Mapping[str, Any] = VERDICT,
        left_out: Sequence[Rejected] = (),
    ) -> None:
        samples = [
            {
                "id": row.id,
                "instruction": row.instruction,
                "input": row.input,
                "wanted": row.output,
                "base": f"{row.instruction} {row.instruction}",
                "base_ended": False,
                "tuned": row.output,
                "tuned_ended": True,
            }
            for row in rows
        ]
        losses = [
            {"id": row.id, "model": model, "nats": nats, "tokens": 10}
            for row in rows
            for model, nats in (("base", 21.3), ("tuned", 16.7))
        ]
        verdict = {**verdict, "left_out": len(left_out)}
        self.step(
            "evaluate",
            verdict,
            {
                "verdict.json": verdict,
                "samples.jsonl": samples,
                "losses.jsonl": losses,
                "left_out.jsonl": [row.to_row() for row in left_out],
            },
        )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A whole run: 8 pieces, 1 unread, 1 too like a seed, 6 accepted; 1 dropped by curate, 5 kept, 2 held out."""
    made = Workspace(tmp_path / "runs")
    rows = examples()
    made.generate(
        rows,
        [
            Rejected(
                '{"instruction": "Name thr',
                "not_json",
                "the JSON ends in the middle",
                f"r1-{3:032x}",
            ),
            Rejected(
                examples((("Name three hot drinks that are served.", "", "Tea."),))[0],
                "likeness",
                "0.83 like a seed, at most 0.7 wanted",
                nearest="e1-seed0",
            ),
        ],
    )
    made.curate(
        rows[:5], [Rejected(rows[5], "truncated", "the output stops in mid-sentence, at 'the'")]
    )
    made.train()
    made.evaluate(rows[:2])
    made.close()
    return made


PRICE = Price(
    "kettle-1", PriceTable.model_validate({"in": 0.15, "out": 0.6}).per_million(), "a test"
)
FREE = Price("kettle-1", PriceTable.model_validate("free").per_million(), "a test")


def buy(
    root: Path,
    keys: Sequence[str],
    *,
    recipe: str = "tea",
    run: str = "run-1",
    price: Price = PRICE,
    lost: str = "",
) -> None:
    """One settled reply of 1000 + 333 tokens for each key, in a real journal; `lost`: a key of unknown outcome."""
    usage = Usage(uncached_in=1000, visible_out=333)
    with Journal.open(root / "ledger.sqlite") as journal:
        for key in keys:
            attempt = journal.reserve(
                key,
                price.worst(2000, 1000),
                price,
                Caps(),
                recipe=recipe,
                run=run,
                stage="generate",
            ).result()
            assert isinstance(attempt, Attempt)
            journal.settle(
                attempt,
                Completion(f"reply to {key}", "stop", usage, key),
                price.cost(usage),
                request=Request((PromptMessage("user", "Write one task."),), {"temperature": 0.7}),
                teacher={"model": "kettle-1"},
            ).result()
        if lost:
            attempt = journal.reserve(
                lost,
                price.worst(2000, 1000),
                price,
                Caps(),
                recipe=recipe,
                run=run,
                stage="generate",
            ).result()
            assert isinstance(attempt, Attempt)
            journal.lose(attempt, "timeout").result()
        machine_time(journal, recipe, run, "generate", 90.0)
