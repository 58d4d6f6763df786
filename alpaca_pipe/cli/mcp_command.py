"""`alpaca-pipe mcp`: an assistant reads what was run, made and spent."""

from __future__ import annotations

from pathlib import Path

import typer

from alpaca_pipe.cli.common import LOOKING_BACK, Rehearsed, Runs, there

app = typer.Typer()


@app.command(rich_help_panel=LOOKING_BACK)
def mcp(runs: Runs = Path("runs"), rehearse: Rehearsed = False) -> None:
    """Answer an assistant over MCP (standard input and output): plan, status, rows, trace, ledger, report. It only reads; extra 'mcp'."""
    from alpaca_pipe.mcp_server import serve_mcp

    serve_mcp(there(runs), rehearse)
