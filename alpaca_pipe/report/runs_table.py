"""Any number of runs as one table: a line for each setting, mean and spread over its seeds; text, Markdown, CSV or LaTeX."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from alpaca_pipe.core.aligned import in_columns, text
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import read_json
from alpaca_pipe.data.run_names import PastRun, history
from alpaca_pipe.report.compare_runs import flat_config
from alpaca_pipe.report.run_files import RunFiles, left

Form = Literal["text", "markdown", "csv", "latex"]
SWEEP_RECORD = "sweep.json"  # in a recipe's folder: the runs of its last sweep
_SEEDS = ("seed", "train.seed")
# name of a column -> stage, where in its summary, digits
_MEASURED: dict[str, tuple[str, tuple[str, ...], int]] = {
    "held-out loss": ("evaluate", ("loss", "tuned", "mean"), 4),
    "minus base": ("evaluate", ("difference", "base", "mean"), 4),
    "minus control": ("evaluate", ("difference", "shuffled", "mean"), 4),
    "training loss": ("train", ("loss", "tuned", "last"), 4),
    "rows": ("train", ("rows",), 0),
}
# The same, for columns that only a table has in which one of the runs was measured so.
_WHERE_MEASURED: dict[str, tuple[str, tuple[str, ...], int]] = {
    "foreign minus base": ("evaluate", ("foreign", "difference", "base", "mean"), 4),
    "judge prefers it": ("evaluate", ("judge", "rate"), 3),
    "preferences right": ("align", ("accuracy", "aligned", "mean"), 3),
}
_ALL = _MEASURED | _WHERE_MEASURED


@dataclass(frozen=True)
class Spread:
    """Over the seeds of a setting. deviation: of the sample (n - 1); None for one seed."""

    mean: float
    deviation: float | None

    def shown(self, digits: int, between: str = " ± ") -> str:
        mean = f"{self.mean:.{digits}f}"
        return mean if self.deviation is None else f"{mean}{between}{self.deviation:.{digits}f}"


@dataclass(frozen=True)
class SettingLine:
    """A setting: what it has otherwise than others, its seeds, its figures (None: not measured), and its verdicts."""

    settings: Mapping[str, Any]
    seeds: tuple[Any, ...]
    figures: Mapping[str, Spread | None]
    verdicts: tuple[str, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class RunsTable:
    keys: tuple[str, ...]  # that differ between settings
    lines: tuple[SettingLine, ...]

    def text(self) -> Iterator[str]:
        for line in in_columns([self._head(), *self._cells(" ± ")], most=48):
            yield "".join(text(part) for part in line).rstrip()

    def written(self, form: str) -> str:
        if form == "markdown":
            return self._markdown()
        if form == "csv":
            return self._csv()
        if form == "latex":
            return self._latex()
        return "\n".join(self.text()) + "\n"

    def to_row(self) -> list[dict[str, Any]]:
        return [
            {
                "settings": dict(line.settings),
                "seeds": list(line.seeds),
                "runs": list(line.runs),
                "verdicts": list(line.verdicts),
                "figures": {
                    name: None if one is None else {"mean": one.mean, "deviation": one.deviation}
                    for name, one in line.figures.items()
                },
            }
            for line in self.lines
        ]

    @property
    def measured(self) -> tuple[str, ...]:
        """The columns of figures."""
        found = (
            name
            for name in _WHERE_MEASURED
            if any(line.figures[name] is not None for line in self.lines)
        )
        return (*_MEASURED, *found)

    def _head(self) -> list[str]:
        return [*(self.keys or ("run",)), "seeds", *self.measured, "better"]

    def _cells(self, between: str) -> Iterator[list[str]]:
        for line in self.lines:
            named = [_value(line.settings.get(key)) for key in self.keys] or [", ".join(line.runs)]
            figures = [
                "–" if (one := line.figures[name]) is None else one.shown(_ALL[name][2], between)
                for name in self.measured
            ]
            better = f"{line.verdicts.count('better')} of {len(line.runs)}"
            yield [*named, str(len(line.runs)), *figures, better]

    def _markdown(self) -> str:
        rows = [self._head(), ["---"] * len(self._head()), *self._cells(" ± ")]
        return "".join(
            f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |\n" for row in rows
        )

    def _csv(self) -> str:
        """Mean and deviation in columns of their own, with twelve digits."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        pairs = [f"{name} {what}" for name in self.measured for what in ("mean", "deviation")]
        writer.writerow([*self.keys, "seeds", "runs", *pairs, "better"])
        for line in self.lines:
            figures = [
                number
                for name in self.measured
                for one in (line.figures[name],)
                for number in (
                    (None, None) if one is None else (_plain(one.mean), _plain(one.deviation))
                )
            ]
            writer.writerow(
                [
                    *(_value(line.settings.get(key)) for key in self.keys),
                    " ".join(map(str, line.seeds)),
                    " ".join(line.runs),
                    *figures,
                    line.verdicts.count("better"),
                ]
            )
        return out.getvalue()

    def _latex(self) -> str:
        """A tabular of the package booktabs."""
        head = self._head()
        rows = [" & ".join(map(_in_latex, row)) + r" \\" for row in (head, *self._cells(" ± "))]
        columns = "l" * len(self.keys or ("run",)) + "r" * (len(head) - len(self.keys or ("run",)))
        body = [rows[0], r"\midrule", *rows[1:]]
        return "\n".join(
            [
                rf"\begin{{tabular}}{{{columns}}}",
                r"\toprule",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                "",
            ]
        )


def runs_table(runs: Sequence[PastRun], workspace: Path) -> RunsTable:
    """Runs that differ in seeds alone share a line. Nothing that is missing on the disk raises: it is a dash."""
    runs = list(
        {(run.recipe, run.id): run for run in runs}.values()
    )  # one named twice is no spread
    found = [(run, left(workspace, run.recipe, run.row)) for run in runs]
    configs = [flat_config(files.config) for _, files in found]
    names = dict.fromkeys(name for config in configs for name in config)
    keys = tuple(
        name
        for name in names
        if name not in (*_SEEDS, "name")
        and len({json.dumps(config.get(name), default=str) for config in configs}) > 1
    )
    several = len({run.recipe for run in runs}) > 1
    groups: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        mark = [config.get(key) for key in keys] + [runs[place].recipe] * several
        groups.setdefault(json.dumps(mark, default=str), []).append(place)
    named = (("recipe",) if several else ()) + keys
    lines = []
    for places in groups.values():
        settings = {key: configs[places[0]].get(key) for key in keys}
        settings |= {"recipe": runs[places[0]].recipe} if several else {}
        lines.append(
            _line(settings, [found[place] for place in places], [configs[p] for p in places])
        )
    return RunsTable(named, tuple(lines))


def sweep_of(workspace: Path, recipe: str) -> list[PastRun]:
    """The runs of a recipe's last sweep. UserError where it was none."""
    record = workspace / recipe / SWEEP_RECORD
    if not record.is_file():
        raise UserError(
            f"{recipe}: no sweep of it was run in {workspace}",
            "name two or more runs, or run a recipe with a table `sweep:`",
        )
    wanted, rows = set(read_json(record)), history(workspace, recipe)
    return [
        PastRun(recipe, row, len(rows) - place)
        for place, row in enumerate(rows)
        if row.get("run") in wanted
    ]


def _line(
    settings: Mapping[str, Any],
    found: Sequence[tuple[PastRun, RunFiles]],
    configs: Sequence[Mapping[str, Any]],
) -> SettingLine:
    seeds = [
        config.get("train.seed") if config.get("train.seed") is not None else config.get("seed")
        for config in configs
    ]
    figures = {
        name: _spread([_figure(files, stage, keys) for _, files in found])
        for name, (stage, keys, _) in _ALL.items()
    }
    verdicts = [str(files.step("evaluate").summary.get("verdict", "")) for _, files in found]
    return SettingLine(
        settings, tuple(seeds), figures, tuple(verdicts), tuple(run.id for run, _ in found)
    )


def _figure(files: RunFiles, stage: str, keys: Sequence[str]) -> float | None:
    value: Any = files.step(stage).summary
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) else None


def _spread(values: Sequence[float | None]) -> Spread | None:
    """None where one run of several was not measured: a mean of the others would be of another thing."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return Spread(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


def _value(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


_LATEX = {
    "\\": r"\textbackslash{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "±": r"$\pm$",
}


def _in_latex(cell: str) -> str:
    return "".join(_LATEX.get(mark, mark) for mark in cell)


def _plain(number: float | None) -> float | None:
    """Without the noise of binary sums: -0.009184, not -0.009184000000000001."""
    return None if number is None else float(f"{number:.12g}")
