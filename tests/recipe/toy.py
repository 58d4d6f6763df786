"""A road of three toy stages on a real engine: each counts its executions in a file outside the workspace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

from alpaca_pipe.core.config_table import Exact, ExistingPath, Knob, Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, write_json
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.recipe.stage import Catalog, Estimate, Outcome, Stage, StageContext


def pause(seconds: float) -> None:
    """Of the stages: no time passes, unless a test puts a clock of its own in its place. A process that is given turns goes on
    with each byte of its standard input, and freely where that is closed."""
    if "TOY_TURNS" in os.environ:
        sys.stdin.buffer.read(1)


def give(process: subprocess.Popen[bytes], turns: int) -> None:
    """To a process that waits for them."""
    assert process.stdin is not None
    process.stdin.write(b"." * turns)
    process.stdin.flush()


class Paint(Table):
    colour: str = "red"
    brush: Annotated[int, Knob()] = 1


class Sow(Table):
    count: int = 3
    share: Exact = 0.5  # type: ignore[assignment]
    tags: tuple[str, ...] = ()
    source: ExistingPath | None = None
    speed: Annotated[int, Knob()] = 1


class Reap(Table):
    keep_even: bool = True


class Sell(Table):
    fail: bool = False
    day: str = "Tuesday"


def _saw(kind: str, bench: StageContext) -> None:
    _count(f"{kind} saw {sorted(bench.tables)}")


def _count(kind: str) -> None:
    with Path(os.environ["TOY_COUNTS"]).open("a") as stream:
        stream.write(f"{kind}\n")


def _sow(config: Sow, bench: StageContext) -> Outcome:
    _count("sow")
    _saw("sow", bench)
    bench.progress.start(config.count, "seeds")
    begun = bench.folder / ".parts"
    begun.mkdir(exist_ok=True)
    for number in range(config.count):
        part = begun / f"{number}.json"
        if not part.exists():
            pause(0.1)
            write_json(part, number)
            _count(f"sow:{number}")
        bench.progress.at(number + 1)
        bench.stop_here()
    write_json(
        bench.folder / "seeds.json", [read_json(begun / f"{n}.json") for n in range(config.count)]
    )
    return Outcome({"seeds": config.count})


def _reap(config: Reap, bench: StageContext) -> Outcome:
    _count("reap")
    _saw("reap", bench)
    seeds = read_json(bench.inputs["sow/seeds.json"])
    write_json(
        bench.folder / "crop.json",
        [seed for seed in seeds if seed % 2 == 0 or not config.keep_even],
    )
    return Outcome({})


def _sell(config: Sell, bench: StageContext) -> Outcome:
    _count("sell")
    if config.fail:
        raise ValueError("the market is closed")
    return Outcome({"sold": len(read_json(bench.inputs["reap/crop.json"]))})


def _estimate(config: Any, recipe: Any, known: Any) -> Estimate:
    if isinstance(config, Sell) and config.day == "Monday":
        raise UserError("sell: there is no market on Mondays", "choose another day")
    return Estimate(Range.about(0.1, 2))


CATALOG = Catalog(
    stages=(
        Stage("sow", 1, Sow, _sow, _estimate, uses=("paint", "seed")),
        Stage("reap", 1, Reap, _reap, _estimate, reads=("sow/seeds.json",)),
        Stage("sell", 1, Sell, _sell, _estimate, reads=("reap/crop.json",)),
    ),
    tables={"paint": Paint},
)


def run_toy(recipe: Path, workspace: Path, *overrides: str, **options: Any) -> Any:
    from rich.console import Console

    from alpaca_pipe.recipe.runner import run
    from alpaca_pipe.recipe.schema import load_recipe
    from alpaca_pipe.recipe.workspace import Workspace

    console = Console(file=sys.stderr)
    return run(
        load_recipe(str(recipe), CATALOG, overrides),
        CATALOG,
        Workspace(workspace),
        console,
        **options,
    )


if __name__ == "__main__":
    from alpaca_pipe.core.errors import Stopped

    try:
        run_toy(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except Stopped:
        sys.exit(130)
