"""The whole cleaning of the released 52K, and what each detector finds there: hits, precision and recall from verdicts on
rows that it was not tuned on (tests/curate/labels.py). Limit, from the issue: 60 s on 2 cores."""

from __future__ import annotations

import gzip
import json
import resource
import time
from collections import Counter
from pathlib import Path

from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.curate.stage import STAGE
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.stage import StageContext
from tests.bench.table import publish
from tests.curate.labels import BY_READING, Labels, measured
from tests.curate.released import released_rows
from tests.curate.test_stage import Quiet


def test_cleaning(data: Path, tmp_path: Path) -> None:
    source = tmp_path / "alpaca_data.json"
    source.write_bytes(gzip.decompress((data / "alpaca_data.json.gz").read_bytes()))
    (tmp_path / "own").mkdir()
    bench = StageContext(
        tmp_path / "own",
        {},
        {},
        42,
        Journal.open(tmp_path / "ledger.sqlite"),
        "bench",
        "run-1",
        Quiet(),
        lambda: False,
    )
    began = time.perf_counter()
    said = STAGE.run(CurateConfig.model_validate({"from": source, "words": "rouge"}), bench).summary
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    dropped = Counter(row["rule"] for row in read_jsonl(tmp_path / "own" / "rejected.jsonl"))
    assert said["read"] == 52_002 == said["kept"] + dropped.total() and dropped == said["rejected"]
    publish(
        "curate-cleaning",
        [
            {
                "what": "the released 52K: read, repaired, judged, written",
                "figure": f"{seconds:.1f} s",
                "limit": "60 s",
            },
            {"what": "peak memory", "figure": f"{memory:.0f} MB"},
            {"what": "kept", "figure": said["kept"]},
            {"what": "of all, repaired", "figure": said["repaired"]},
            *(
                {"what": f"repaired: {rule}", "figure": count}
                for rule, count in said["repairs"].items()
            ),
            *(
                {"what": f"dropped: {rule}", "figure": count}
                for rule, count in dropped.most_common()
            ),
            {
                "what": "kept and dropped",
                "figure": said["kept"] + dropped.total(),
                "limit": "52002",
            },
        ],
    )


def test_detectors(data: Path) -> None:
    """precision: of the labelled hits; blind: before any of them was looked at. sample: defects found of those in 300 random rows;
    net: hits that are right, of these and what looser patterns brought up besides (now, and blind)."""
    rows, released = [], released_rows(data)
    for name in BY_READING:
        head, found = Labels.read(name).head, measured(released, name)
        right = round(found.unseen_hits * (found.precision or 0))
        rows.append(
            {
                "detector": name,
                "hits": found.hits,
                "precision": f"{found.right}/{found.labelled}",
                "blind": head["blind precision"],
                "sample": f"{found.found_in_sample}/{found.in_sample}" if found.in_sample else "",
                "net": f"{right}/{right + found.missed}" if "blind recall" in head else "",
                "net, blind": head.get("blind recall", ""),
            }
        )
    publish("curate", rows)
    print(json.dumps(Labels.read("sample").head, indent=1))
