"""Provenance: which recipe, run, machine and versions, and what each result is named after."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from alpaca_pipe.report.chapters.base import ReportChapter, Told, names_only, override_shown
from alpaca_pipe.report.facts import Facts


def _told(facts: Facts) -> Told:
    config = names_only(facts.config) if facts.config else None
    return {
        "provenance": list(_provenance(facts)),
        "again": _again(facts),
        "config": json.dumps(config, indent=2, ensure_ascii=False) if config else "",
        "identities": [
            {"kind": step.kind, "identity": json.dumps(step.identity, indent=2, ensure_ascii=False)}
            for step in facts.steps
            if step.identity
        ],
    }


def _again(facts: Facts) -> str:
    """The command line that makes the same steps, of a shipped recipe or of a file of that name; a path in it is its name alone."""
    said = map(override_shown, facts.run.get("overrides") or ())
    return shlex.join(["alpaca-pipe", "run", facts.recipe, *said])


def _provenance(facts: Facts) -> Iterator[tuple[str, str]]:
    yield "recipe", facts.recipe
    if facts.run.get("run"):
        yield "run", str(facts.run["run"])
    base = str((facts.config or {}).get("base", {}).get("model", ""))
    if base.startswith("run:"):
        yield "base", f"the model of {base.removeprefix('run:')}"
    if facts.run.get("overrides"):
        yield "overrides", " ".join(map(override_shown, facts.run["overrides"]))
    for step in facts.steps:
        if step.folder:
            yield step.kind, step.folder
    if machine := facts.machine:
        yield (
            "machine",
            ", ".join(
                f"{machine[name]}{unit}"
                for name, unit in (("system", ""), ("arch", ""), ("cores", " cores"))
                if machine.get(name)
            ),
        )
        versions = {"python": machine.get("python"), **(machine.get("versions") or {})}
        yield (
            "versions",
            ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        )


PROVENANCE = ReportChapter("provenance", 100, _told, "provenance_chapter.html.j2")
