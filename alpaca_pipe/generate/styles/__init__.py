"""The styles of [generate], a module each, called as its style with _ for -. To add one: a module with a subclass of Plain
(base.py) that says what it asks for, which keys of `generate:` are its own, and what the forecast believes of it before
anything is known. style_registry.py finds it; tests/generate/test_style_registry.py asks each one that lies here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alpaca_pipe.generate.style_registry import style_class

if TYPE_CHECKING:
    from alpaca_pipe.generate.config import GenerateConfig
    from alpaca_pipe.generate.styles.base import Style
    from alpaca_pipe.teachers.config import TeacherTable


def style_of(config: GenerateConfig, teacher: TeacherTable, takes: frozenset[str]) -> Style:
    """The style of a table, for a teacher that takes these decoding fields."""
    style: Style = style_class(config.style).of(config, teacher.called, takes)
    if config.prompt is None:
        return style
    from alpaca_pipe.generate.own_prompt import OwnPrompt

    own: Any = OwnPrompt(style, config.prompt, config.domain or "")
    return own  # type: ignore[no-any-return]
