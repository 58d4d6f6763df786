"""What was decided about drafts: a line each in drafts.jsonl of the recipe's run folder, appended as it is decided."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from alpaca_pipe.core.files import read_jsonl

Decision = Literal["yes", "edited", "no"]
FILE = "drafts.jsonl"


class DraftLog:
    """Of one recipe. A line that a kill cut off is not read: its draft comes back."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._made: dict[str, Decision] = {}
        self._becoming: dict[str, str] = {}
        self._read()

    def __contains__(self, id: str) -> bool:
        return id in self._made

    @property
    def confirmed(self) -> int:
        """Drafts that became seed tasks."""
        return sum(decision != "no" for decision in self._made.values())

    def becoming(self, id: str) -> str | None:
        """The id of the row that was to enter the seed file for this draft, as it was edited last."""
        return self._becoming.get(id)

    def intend(self, id: str, became: str) -> None:
        """Before an edited row enters the seed file: a kill between row and decision is seen by it. It decides nothing itself."""
        self._write(id, "editing", became=became)
        self._becoming[id] = became

    def make(self, id: str, decision: Decision, **facts: Any) -> None:
        """On the disk before it is answered."""
        self._write(id, decision, **facts)
        self._made[id] = decision

    def _write(self, id: str, decision: str, **facts: Any) -> None:
        line: Mapping[str, Any] = {
            "id": id,
            "decision": decision,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            **facts,
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _read(self) -> None:
        if not self._file.exists():
            return
        raw = self._file.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if whole != raw:
            self._file.write_bytes(whole)
        for line in read_jsonl(self._file):
            if line["decision"] == "editing":
                self._becoming[line["id"]] = line["became"]
            else:
                self._made[line["id"]] = line["decision"]
