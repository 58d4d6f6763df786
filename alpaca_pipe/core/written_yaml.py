"""YAML as a person would write it: blocks, keys in the order that they are given."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

_WIDTH = 120


def yaml_text(values: Mapping[str, Any]) -> str:
    """values: texts, numbers, lists and tables."""
    from ruamel.yaml import YAML

    out, yaml = io.StringIO(), YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False  # type: ignore[assignment]
    yaml.width = _WIDTH
    yaml.dump(dict(values), out)
    return out.getvalue()
