"""The files that are shipped, and the figures by which they are the model that was trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpaca_pipe.report.chapters.base import ReportChapter, Told
from alpaca_pipe.report.facts import Facts


def _told(facts: Facts) -> Told | None:
    model, files = facts.exported.get("model"), facts.exported.get("gguf") or ()
    if not model and not files:
        return None
    graph = _graph(facts.exported.get("onnx"))
    return {
        "merged": _merged(model),
        "files": [_file(one) for one in files],
        "graph": graph,
        "sums": [f"{name} sha256 {digest}" for name, digest in facts.shipped.items()],
    }


def _merged(model: Mapping[str, Any] | None) -> str:
    if not model:
        return ""
    return (
        f"The merged checkpoint, {model['megabytes']:,.0f} MB in {model['dtype']}, read back from the disk and compared with base "
        f"and adapter at {model['positions']:,} positions: largest difference of a logit {model['max_difference']:.2g}, "
        f"at most {model['limit']:.2g} allowed; the same first choice at {model['top1']:.1%}."
    )


def _graph(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    alike = found["positions"] - found["differing"]
    return (
        f"The ONNX graph, {found['megabytes']:,.0f} MB with its page, was loaded by ONNX Runtime: {alike:,} of {found['positions']:,} greedy "
        f"tokens are the checkpoint's own first choice, and no logit is farther from it than {found['largest']:.2g}, at most "
        f"{found['limit']:g} allowed. Its page compares the ids of {found['prompts']} texts before it answers."
    )


def _file(one: Mapping[str, Any]) -> dict[str, str]:
    agreed = one["compared"] - one["differing"]
    return {
        "file": one["file"],
        "megabytes": f"{one['megabytes']:,.1f}",
        "prompts": f"{one['prompts']:,}",
        "agreed": f"{agreed:,} of {one['compared']:,}",
        "kl": f"{one['kl']:.2g} (at most {one['kl_limit']:g})",
    }


EXPORTS = ReportChapter("exports", 75, _told, "exports_chapter.html.j2")
