"""A page of ours in the user's browser, where there is one."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path


def open_page(page: Path) -> bool:
    """Opens the page; False where nothing on this machine can show it, as over ssh."""
    screen = (
        sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if not screen and not os.environ.get("BROWSER"):
        return False  # webbrowser would take a text browser, and with it the terminal
    try:
        return webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        return False
