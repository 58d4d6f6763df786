"""alpaca-pipe: from seed tasks to a tuned instruction model, with a ledger that knows every cent.

The names in __all__ are the Python API and stay; all else in the package is private and may change with any version.
Nothing is loaded before it is used.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "Example",
    "Plan",
    "PlannedStep",
    "Range",
    "Rendered",
    "Result",
    "RunProgress",
    "Stopped",
    "UserError",
    "load_examples",
    "plan",
    "plan_async",
    "render",
    "run",
    "run_async",
]

if TYPE_CHECKING:
    from alpaca_pipe.api import (
        Example,
        Plan,
        PlannedStep,
        Range,
        Rendered,
        Result,
        RunProgress,
        Stopped,
        UserError,
        load_examples,
        plan,
        plan_async,
        render,
        run,
        run_async,
    )
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'alpaca_pipe' has no attribute {name!r}")
        from alpaca_pipe import api

        return getattr(api, name)

    def __dir__() -> list[str]:
        return [*__all__, "__version__"]
