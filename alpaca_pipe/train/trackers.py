"""Where a tune's figures go beside loss.jsonl: TensorBoard, Trackio, Weights & Biases. One that fails never ends a run."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from alpaca_pipe.core.fast_dataclass import dataclass

TRACKED = "tracking"  # a folder of the recipe's own


@dataclass(frozen=True)
class Tracking:
    """kinds: names in OPENERS; project: the recipe; run: a name that stays the same in a resume; folder: for what a tracker
    writes here; config: what the run is described by; per_hour: nano-dollars of the machine."""

    kinds: tuple[str, ...]
    project: str
    run: str
    folder: Path
    config: Mapping[str, Any]
    per_hour: int = 0


class Tracker(Protocol):
    def log(self, step: int, figures: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class Trackers:
    """All that were asked for. say: hears, once, of each one that failed."""

    def __init__(self, tracking: Tracking, step: int, say: Callable[[str], None]) -> None:
        """step: the last one of an earlier run that this one goes on from; what it logged later is logged again."""
        self._say = say
        self._open: dict[str, Tracker] = {}
        for kind in tracking.kinds:
            with self._survived(kind):
                self._open[kind] = OPENERS[kind](tracking, step)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for kind, tracker in list(self._open.items()):
            with self._survived(kind):
                tracker.log(step, figures)

    def close(self) -> None:
        for kind, tracker in list(self._open.items()):
            with self._survived(kind):
                tracker.close()
        self._open.clear()

    @contextlib.contextmanager
    def _survived(self, kind: str) -> Any:
        """What it prints would stand between our lines; what it raises is said, and it is asked no more."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except Exception as error:  # noqa: BLE001  whatever a tracker raises
            self._open.pop(kind, None)
            lines = str(error).strip().splitlines() or [type(error).__name__]
            self._say(f"{kind} failed ({lines[0]}): the training continues without it")


class _TensorBoard:
    def __init__(self, tracking: Tracking, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = tracking.folder / "tensorboard" / tracking.run
        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1 if step else None)  # type: ignore[no-untyped-call]

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Trackio:
    """In Trackio's own folder (TRACKIO_DIR); to a Space only where TRACKIO_SPACE_ID says so."""

    def __init__(self, tracking: Tracking, step: int) -> None:
        import trackio

        self._run: Any = trackio.init(
            project=tracking.project,
            name=tracking.run,
            config=dict(tracking.config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        import trackio

        trackio.finish()  # by the run's own it would be finished, and say so, once more at our exit


class _WandB:
    """Offline, into our folder, unless WANDB_MODE says otherwise; `wandb sync` sends it later."""

    def __init__(self, tracking: Tracking, step: int) -> None:
        import wandb

        folder = tracking.folder / "wandb" / tracking.run
        folder.mkdir(parents=True, exist_ok=True)
        self._run: Any = wandb.init(
            project=tracking.project,
            name=tracking.run,
            id=tracking.run.replace("/", "-"),
            resume="allow",
            dir=str(folder),
            config=dict(tracking.config),
            mode=os.environ.get("WANDB_MODE", "offline"),  # type: ignore[arg-type]
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True
            ),
        )

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        self._run.finish()


OPENERS: dict[str, Callable[[Tracking, int], Tracker]] = {
    "tensorboard": _TensorBoard,
    "trackio": _Trackio,
    "wandb": _WandB,
}


def described(hyper: Any) -> dict[str, Any]:
    """Hyperparameters as plain values, without those that are not set."""
    return {name: value for name, value in asdict(hyper).items() if value is not None}
