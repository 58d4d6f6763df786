"""A comparison as one small page without scripts, for those who decide and do not sit at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from alpaca_pipe.ledger.money import shown
from alpaca_pipe.teacher_comparison.comparison_text import rows
from alpaca_pipe.teacher_comparison.contest import ComparisonResult

_POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'\">"
)
_VIEW = '<meta name="viewport" content="width=device-width,initial-scale=1">'
_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
.wide{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;width:100%}th,td{padding:.35rem .7rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
.figures td+td,.figures th+th{text-align:right;font-variant-numeric:tabular-nums}.no{color:#a33}.dim{color:#666}h1,p{overflow-wrap:anywhere}pre{white-space:pre-wrap;font:inherit;margin:.3rem 0}.rows td{min-width:16rem;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}.dim{color:#999}.no{color:#e88}}"""


def page(result: ComparisonResult) -> str:
    """Whole, under a few hundred KB; every text of a row is escaped."""
    title = f"Which teacher for {result.contest.recipe.name}"
    names = [escape(one.name) for one in result.figures]
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8">{_VIEW}{_POLICY}<title>{escape(title)}</title><style>{_STYLE}</style>',
            f"<h1>{escape(title)}</h1>",
            (
                f"<p>{result.figures[0].prompts} prompts, the same for all; {shown(result.money.spent)} spent on asking"
                f"{' and judging' if result.judged else ''}.</p>"
            ),
            *(
                f"<p><strong>{escape(pair.first)} and {escape(pair.second)}:</strong> {escape(pair.says)}.</p>"
                for pair in result.pairs
            ),
            *([f"<p class=no>It ended early: {escape(result.short)}</p>"] if result.short else []),
            f"<div class=wide tabindex=0><table class=figures><tr><th></th>{''.join(f'<th>{name}</th>' for name in names)}</tr>",
            *_figures(result),
            "</table></div>",
            "<p class=dim>In brackets: 95 % intervals, a bootstrap over the prompts. "
            + (f"Judged by {escape(result.judged)}. " if result.judged else "")
            + "New against another: the share of rows whose best ROUGE-L F with any row of the other is at most "
            f"{result.contest.terms.config.likeness}.</p>",
            "<h2>The same prompt, a row of each</h2>",
            f"<div class=wide tabindex=0><table class=rows><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>",
            *(f"<tr>{''.join(map(_cell, told))}</tr>" for _, told in result.side_by_side),
            "</table></div></html>",
            "",
        ]
    )


def _figures(result: ComparisonResult) -> Iterator[str]:
    for name, cells in rows(result):
        yield f"<tr><td>{escape(name)}</td>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "<td class=no>no row</td>"
    parts = [f"<strong>{escape(row['instruction'])}</strong>"]
    parts += [f"<pre>{escape(row[name])}</pre>" for name in ("input", "output") if row.get(name)]
    if row.get("dropped"):
        parts.append(
            f"<span class=no>dropped, {escape(row['dropped'])}: {escape(row.get('words', ''))}</span>"
        )
    elif "grade" in row:
        parts.append(
            f"<span class={'dim' if row.get('passes') else 'no'}>{row['grade']:g}: {escape(row.get('words', ''))}</span>"
        )
    return f"<td>{''.join(parts)}</td>"
