"""Exchanges between rungs on the device: who stands where, and the statistics, between sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from physebm.backends.base import Slots
from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.emit import library
from physebm.backends.source import Source
from physebm.rng.streams import Purpose, last_word

PARTS = ("types", "philox", "portable", "exchange")
STATISTICS = (
    "lane_of", "attempts", "accepted", "exchanged", "direction", "trips", "flow", "visits"
)  # fmt: skip
STRUCT = np.dtype(
    [(name, np.uint64) for name in ("start", "row", "key", "chain", "coef", "E", "rung", *STATISTICS)]
    + [("terms", np.int64)]
)


@cache
def exchange_source() -> Source:
    """The kernel of a round; it depends on no plan."""
    return Source("exchange_cuda", library(*PARTS))


class Exchange:
    """A round of exchanges of all ladders, ready to be launched between sweeps.

    Parameters
    ----------
    kept
        Buffers that the sweep reads and writes: ``coef``, ``E`` and ``rung``.
    """

    def __init__(
        self,
        device: Device,
        slots: Slots,
        statistics: Mapping[str, np.ndarray],
        kept: Mapping[str, Buffer],
        terms: int,
    ):
        self.device, self.ladders = device, len(slots.start) - 1
        self._statistics = {name: device.upload(statistics[name]) for name in STATISTICS}
        of_slots = {
            "start": slots.start.astype(np.int64),
            "row": slots.row.astype(np.int64),
            "key": slots.key.astype(np.uint32),
            "chain": slots.chain.astype(np.uint32),
        }
        self._buffers = {name: device.upload(values) for name, values in of_slots.items()}
        self._buffers |= self._statistics | {name: kept[name] for name in ("coef", "E", "rung")}
        self.struct = np.zeros((), STRUCT)
        for name, buffer in self._buffers.items():
            self.struct[name] = device.address(buffer)
        self.struct["terms"] = terms
        self._function = device.function(exchange_source(), "exchange")

    def launch(self, round_: int) -> None:
        """Round number `round_`, after the sweep that ends at ``round_ * every``."""
        last = np.uint32(last_word(Purpose.SWAP))
        self._function(self.ladders, 32, self.struct, (np.uint32(round_), last))

    def take(self, statistics: dict[str, np.ndarray]) -> None:
        """Write the statistics into host arrays."""
        for name, buffer in self._statistics.items():
            statistics[name][...] = self.device.download(buffer)
