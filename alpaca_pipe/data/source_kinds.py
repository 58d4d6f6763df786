"""Where rows come from, by the words that a recipe uses for it: forms, shapes, ids on the hub."""

from __future__ import annotations

from typing import Literal

from alpaca_pipe.core.lazy_regex import lazy_regex

Form = Literal["json", "jsonl", "csv", "tsv", "parquet", "datasets", "arrow", "xlsx", "yaml"]
ShapeName = Literal[
    "alpaca",
    "dolly",
    "instruction-response",
    "sharegpt",
    "messages",
    "prompt-completion",
    "prompt-response",
    "question-answer",
    "question-response",
    "query-response",
    "problem-solution",
    "input-output",
]
Turns = Literal["all", "first", "refuse"]
Format = Literal[Form, ShapeName]
Published = Literal["json", "jsonl", "datasets", "parquet", "sharegpt", "messages", "openorca"]
WrittenAs = Literal["alpaca", "messages", "sharegpt", "chatml", "parquet", "openorca"]
_ID = lazy_regex(
    r"hub:(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<split>[\w.-]+))?"
)


class HubId(str):
    """`hub:owner/name`, `hub:owner/name@revision`, either with `:split` (train, where none is said)."""

    @staticmethod
    def of(text: str) -> HubId:
        """Raises ValueError for what is no id."""
        if not _ID.fullmatch(text):
            raise ValueError(
                "not a dataset on the hub - write hub:owner/name, hub:owner/name@revision or "
                "hub:owner/name@revision:split"
            )
        return HubId(text)

    def parts(self) -> tuple[str, str | None, str]:
        """(owner/name, revision or None, split)."""
        found = _ID.fullmatch(self)
        assert found is not None
        return found["name"], found["revision"], found["split"] or "train"
