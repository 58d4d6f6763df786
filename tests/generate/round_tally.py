"""What a scripted teacher of any law counts in a round: how it answers is the law's own, how that is added up is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alpaca_pipe.generate.round_stats import RoundStats


@dataclass
class RoundTally:
    pieces: int = 0
    near: int = 0
    new: int = 0
    _ins: int = 0
    _in_squares: int = 0
    _outs: int = 0
    _out_squares: int = 0

    def row(self, fresh: bool) -> None:
        """One that could be read."""
        self.near, self.new = self.near + (not fresh), self.new + fresh

    def reply(self, tokens_in: int, tokens_out: int) -> None:
        self._ins, self._in_squares = self._ins + tokens_in, self._in_squares + tokens_in**2
        self._outs, self._out_squares = self._outs + tokens_out, self._out_squares + tokens_out**2

    def stats(self, seats: int, known: int, lost: int = 0, **more: Any) -> RoundStats:
        """Every new row is accepted. known: before the round."""
        return RoundStats(
            seats,
            pieces=self.pieces,
            near=self.near,
            new=self.new,
            accepted=self.new,
            in_first=self._ins,
            in_first_squares=self._in_squares,
            out_first=self._outs,
            out_first_squares=self._out_squares,
            pool=known,
            attempts=seats + lost,
            lost=lost,
            **more,
        )
