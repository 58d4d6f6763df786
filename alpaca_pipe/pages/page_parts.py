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

CONVERSATION = Path(__file__).with_name("conversation.css")


def filled(template: Path, title: str, data: Any) -> str:
    """The page of a template. Beside `NAME.html` stands its script, `NAME.js`; its style is conversation.css, and after it
    `NAME.css` where there is one.

    Its policy (CSP) stands in the template and takes `{{style_digest}}` and `{{script_digest}}`.
    """
    own = template.with_suffix(".css")
    style = "".join(
        path.read_text(encoding="utf-8") for path in (CONVERSATION, own) if path.is_file()
    )
    script = template.with_suffix(".js").read_text(encoding="utf-8")
    parts = {
        "title": html.escape(title),
        "data": inside_script(data),
        "style": style,
        "script": script,
        "style_digest": digest_for_policy(style),
        "script_digest": digest_for_policy(script),
    }
    text = template.read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], text)


def inside_script(value: Any) -> str:
    """JSON that no reader of HTML takes for the end of its element, nor for a comment."""
    text = whole(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def digest_for_policy(text: str) -> str:
    """Of a script or a style between its tags, as a policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
