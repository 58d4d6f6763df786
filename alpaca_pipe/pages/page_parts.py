"""A page as one text: its data as JSON that no text can break out of, its style and script named in its policy by digest."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

from alpaca_pipe.core.text import whole

_SHARED = Path(__file__).with_name("conversation")


def filled(template: Path, title: str, data: Any, engine: Path | None = None, **more: str) -> str:
    """The page of a template. Beside `NAME.html` stand its script, `NAME.js`, and its style, `NAME.css`, where it has them; before
    them go conversation.js and conversation.css, which all our pages share.

    Its policy (CSP) stands in the template and takes `{{style_digest}}` and `{{script_digest}}`. engine: a script before its own.
    more: what else the template takes.
    """
    style, script = _text(template, ".css"), _text(template, ".js", engine)
    parts = more | {
        "title": html.escape(title),
        "data": inside_script(data),
        "style": style,
        "script": script,
        "style_digest": digest_for_policy(style),
        "script_digest": digest_for_policy(script),
    }
    text = template.read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], text)


def _text(template: Path, suffix: str, engine: Path | None = None) -> str:
    files = (_SHARED.with_suffix(suffix), engine, template.with_suffix(suffix))
    return "".join(file.read_text(encoding="utf-8") for file in files if file and file.is_file())


def inside_script(value: Any) -> str:
    """JSON that no reader of HTML takes for the end of its element, nor for a comment."""
    text = whole(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def digest_for_policy(text: str) -> str:
    """Of a script or a style between its tags, as a policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
