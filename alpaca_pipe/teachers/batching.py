"""The keys of a teacher that can be asked by batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from alpaca_pipe.core.config_table import Knob, Table
from alpaca_pipe.teachers.config import BatchRules

_A_DAY = "24h"


class BatchKeys(Table):
    """How batches are cut and watched."""

    also: ClassVar[Mapping[str, str]] = {"poll_interval": "poll"}

    poll: Annotated[float, Knob()] = Field(
        60.0, gt=0, description="seconds between two polls of a batch, at most"
    )
    most_requests: Annotated[int, Knob()] = Field(
        50_000, ge=1, le=50_000, description="in one file"
    )
    most_bytes: Annotated[int, Knob()] = Field(
        200_000_000, ge=10_000, le=200_000_000, description="of one file"
    )

    @property
    def batch_rules(self) -> BatchRules:
        return BatchRules(_A_DAY, self.poll, self.most_requests, self.most_bytes)


class BatchFileKeys(BatchKeys):
    """Of a provider that lets one choose the time."""

    also: ClassVar[Mapping[str, str]] = {**BatchKeys.also, "completion_window": "window"}

    window: Annotated[str, Knob()] = Field(
        _A_DAY, description="the time in which the provider has to answer"
    )

    @property
    def batch_rules(self) -> BatchRules:
        return replace(super().batch_rules, window=self.window)
