"""The schema in OpenAI's `response_format`, for protocols that take it by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.teachers.base import Fatal


def schema_in(wanted: Any) -> Any:
    """The JSON schema of OpenAI's `response_format`. Fatal for another form of answer."""
    schema = wanted.get("json_schema") if isinstance(wanted, Mapping) else None
    if not isinstance(schema, Mapping) or "schema" not in schema:
        raise Fatal(
            "this teacher's API takes a JSON schema as response_format, and was given another form",
            "give {type: json_schema, json_schema: {schema: ...}}",
        )
    return schema["schema"]
