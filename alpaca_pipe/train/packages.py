"""Packages that only some settings of a tune need."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.train.config import TrainConfig

_BITSANDBYTES = ("bnb", "paged", "lion", "ademamix")
_EXTRAS = {"bitsandbytes": "qlora", "liger_kernel": "kernels", "torchao": "kernels"}
_TORCHAO = ("adamw_torch_8bit", "adamw_torch_4bit")


def missing_packages(config: TrainConfig) -> Iterator[str]:
    """Of those that the settings need, the ones that are not installed."""
    for package in _needed(config):
        if find_spec(package) is None:
            yield package


def check_packages(config: TrainConfig) -> None:
    """UserError where one is missing."""
    for package in missing_packages(config):
        raise UserError(
            f"train: {_what(config, package)} needs {package} (the extra "
            f"'{_EXTRAS.get(package, package)}'), which is not installed",
            f"pip install {package.replace('_', '-')}",
        )


def _needed(config: TrainConfig) -> Iterator[str]:
    if config.method == "qlora" or any(part in config.optim for part in _BITSANDBYTES):
        yield "bitsandbytes"
    if config.optim in _TORCHAO or config.fp8:
        yield "torchao"
    if config.deepspeed:
        yield "deepspeed"
    if config.use_liger_kernel:
        yield "liger_kernel"
    yield from config.trackers


def _what(config: TrainConfig, package: str) -> str:
    if package == "bitsandbytes" and config.method == "qlora":
        return "method qlora"
    if package == "deepspeed":
        return "deepspeed"
    if package == "liger_kernel":
        return "use_liger_kernel"
    if package == "torchao" and config.fp8:
        return "fp8"
    if package in config.trackers:
        return f"report_to: {package}"
    return f"optim: {config.optim}"
