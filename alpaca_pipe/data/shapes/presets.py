"""Shapes by the names that `format` knows them by: which key of each is what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from alpaca_pipe.data.shapes.columns import Columns
from alpaca_pipe.data.source_kinds import ShapeName

_KEYS: Mapping[ShapeName, Mapping[str, str]] = {
    "alpaca": {"instruction": "instruction", "input": "input", "output": "output"},
    "dolly": {"instruction": "instruction", "input": "context", "output": "response"},
    "instruction-response": {"instruction": "instruction", "input": "input", "output": "response"},
    "sharegpt": {"messages": "conversations"},
    "messages": {"messages": "messages"},
    "prompt-completion": {"instruction": "prompt", "output": "completion"},
    "prompt-response": {"instruction": "prompt", "output": "response"},
    "question-answer": {"instruction": "question", "output": "answer"},
    "question-response": {
        "instruction": "question",
        "output": "response",
        "system": "system_prompt",
    },
    "query-response": {"instruction": "query", "output": "response"},
    "problem-solution": {"instruction": "problem", "output": "solution"},
    "input-output": {"instruction": "input", "output": "output"},
}
PRESETS: Mapping[str, Columns] = {name: Columns.of(keys, only=True) for name, keys in _KEYS.items()}
assert tuple(PRESETS) == get_args(ShapeName)
