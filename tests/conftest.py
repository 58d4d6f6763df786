"""What all tests share: a cache and keys of their own, and the real data where it is."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from alpaca_pipe.ledger.pricing.user_prices import use_packed
from tests.scripted_here import serving_here

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # as alpaca_pipe.models does: tests run side by side
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models: a second thread only waits
os.environ["ALPACA_PIPE_PRICES"] = os.devnull  # no test sees the user's own price file
os.environ["ALPACA_PIPE_TODAY"] = "2026-11-30"  # prices age and models end: not under a test's feet

# What Hypothesis measures by the clock says how busy the machine is.
settings.register_profile(
    "here",
    max_examples=int(os.environ.get("ALPACA_PIPE_EXAMPLES", "20")),  # `make test-all` tries more
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("here")

ROOT = Path(__file__).resolve().parents[1]


ABOUT_PROCESSES = ("attack", "proving", "teachers")  # the scripted server's too
LONG = (
    "week",
    "road",
    "proving",
    "teachers",
    "train",
    "house",
    "start",
    "generate",
)  # folders whose files take longest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, so that no core waits for the last of them."""
    order = {folder: place for place, folder in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.parent.name, len(LONG)))


def pytest_configure(config: pytest.Config) -> None:
    """Tells the workers where they can share what is made once (tests/once.py)."""
    os.environ.setdefault("ALPACA_PIPE_TESTS_SHARE", tempfile.mkdtemp(prefix="alpaca-pipe-tests-"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["ALPACA_PIPE_TESTS_SHARE"], ignore_errors=True)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data beside the project; the test is skipped where it is absent."""
    folder = Path(os.environ.get("ALPACA_PIPE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data is not here: {folder} (set ALPACA_PIPE_DATA)")
    return folder


@pytest.fixture(autouse=True)
def scripted_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in the test's own process have the scripted teacher's server there too."""
    if request.path.parent.name not in ABOUT_PROCESSES:
        monkeypatch.setattr("alpaca_pipe.teachers.scripted.scripted_teacher.serving", serving_here)


@pytest.fixture(autouse=True)
def no_packed_prices() -> None:
    """Those of a recipe that another test opened in this process."""
    use_packed(None)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees a real key."""
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
