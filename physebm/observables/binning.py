"""Bins while running: a bounded record of a series of any length, with exact first two moments.

A `BinnedSeries` keeps at most `capacity` bins of `bin_size` consecutive measurements each; when it is
full, neighbours merge and `bin_size` doubles (H. Flyvbjerg, H. G. Petersen, J. Chem. Phys. 91, 461
(1989)). Beside them it keeps the count, the sum and the sum of squares of single measurements.

Everything is a function of the sequence of measurements alone: appending one by one, in blocks of any
size, or through a checkpoint gives the same bits. Sums are of deviations from the first measurement,
so that variances do not drown in the square of the mean.
"""

from __future__ import annotations

import math

import numpy as np

from physebm.arrays import Array, Float64
from physebm.observables.correlation import IntegratedTime, integrated_time
from physebm.observables.sums import add_to, ordered_mean, ordered_sum

CAPACITY = 4096
MIN_BLOCKS = 32  # blocks behind every error bar, all chains together
_MIN_BLOCKS_PER_CHAIN = 4


class BinnedSeries:
    """A streaming record of measurements of shape `shape`, draws along the first axis.

    Parameters
    ----------
    shape
        Shape of one measurement, e.g. ``(point, chain)``.
    capacity
        Largest number of bins kept, even and at least 64; memory is
        ``8 capacity prod(shape)`` bytes when full and grows on the way.
    """

    def __init__(self, shape: tuple[int, ...] = (), capacity: int = CAPACITY):
        if capacity < 2 * MIN_BLOCKS or capacity % 2:
            raise ValueError(f"capacity must be even and at least {2 * MIN_BLOCKS}, got {capacity}")
        self.shape, self.capacity = tuple(shape), int(capacity)
        self.count, self.bin_size, self.n_bins = 0, 1, 0
        self._origin = np.zeros(self.shape)
        self._total, self._total_squares = np.zeros(self.shape), np.zeros(self.shape)
        self._partial, self._in_partial = np.zeros(self.shape), 0
        self._sums = np.empty((min(64, capacity), *self.shape))

    def append(self, x: Array) -> None:
        """Record measurements ``x [draw, *shape]``, in order."""
        x = np.asarray(x, dtype=np.float64)
        if x.shape[1:] != self.shape or x.ndim == 0:
            raise ValueError(f"measurements of shape {x.shape} appended to [draw, *{self.shape}]")
        if not len(x):
            return
        x = x + 0.0  # no negative zeros: they would tell one chunking from another
        if self.count == 0:
            self._origin = x[0].copy()
        d = x - self._origin
        self._total = add_to(self._total, d)
        self._total_squares = add_to(self._total_squares, d * d)
        self.count += len(d)
        at = 0
        while at < len(d):
            whole = (len(d) - at) // self.bin_size
            if self._in_partial or not whole:
                take = min(self.bin_size - self._in_partial, len(d) - at)
                self._partial = add_to(self._partial, d[at : at + take])
                self._in_partial += take
                at += take
                if self._in_partial == self.bin_size:
                    self._push(self._partial[None])
                    self._partial, self._in_partial = np.zeros(self.shape), 0
            else:
                whole = min(whole, self.capacity - self.n_bins)
                take = whole * self.bin_size
                grouped = d[at : at + take].reshape(whole, self.bin_size, *self.shape)
                self._push(ordered_sum(grouped, 1))
                at += take

    def _push(self, sums: Float64) -> None:
        end = self.n_bins + len(sums)
        if end > len(self._sums):
            size = min(self.capacity, max(end, 2 * len(self._sums)))
            grown = np.empty((size, *self.shape))
            grown[: self.n_bins] = self._sums[: self.n_bins]
            self._sums = grown
        self._sums[self.n_bins : end] = sums
        self.n_bins = end
        if end == self.capacity:
            half = end // 2
            self._sums[:half] = self._sums[0:end:2] + self._sums[1:end:2]
            self.n_bins, self.bin_size = half, 2 * self.bin_size

    def mean(self) -> Float64:
        """Mean of every single measurement, ``[*shape]``."""
        self._need(1)
        return self._origin + self._total / self.count

    def variance(self) -> Float64:
        """Variance of single measurements about their mean, divided by n, ``[*shape]``."""
        self._need(1)
        return np.maximum(self._total_squares / self.count - (self._total / self.count) ** 2, 0.0)

    def series(self) -> Float64:
        """The means of the complete bins ``[bin, *shape]``, in order of time."""
        return self._origin + self._sums[: self.n_bins] / self.bin_size

    def bins(self, n_min: int = MIN_BLOCKS) -> Float64:
        """Means of equal blocks ``[block, *shape]``: as long as can be with at least `n_min` of them.

        There are between `n_min` and ``2 n_min - 1`` blocks. What does not divide is dropped: the
        incomplete last bin, and less than one block of the earliest bins.
        """
        self._need(n_min)
        return _blocks(self.series(), n_min)

    def pooled_bins(self, chain_axis: int = -1, n_min: int = MIN_BLOCKS) -> Float64:
        """Blocks of all chains ``[chain * block, *shape without chain]``, at least `n_min` together.

        Each chain gives at least four blocks.
        """
        chains = self.shape[chain_axis]
        return pool(self.bins(max(-(-n_min // chains), _MIN_BLOCKS_PER_CHAIN)), chain_axis)

    def stderr(self, chain_axis: int | None = None, n_min: int = MIN_BLOCKS) -> Float64:
        """Standard error of the mean from at least `n_min` blocks; chains pooled about one mean.

        With `chain_axis` (an axis of `shape`) it is the error of the mean over that axis.
        """
        blocks = self.bins(n_min) if chain_axis is None else self.pooled_bins(chain_axis, n_min)
        used = len(blocks) * self._block_size(n_min, chain_axis)
        total = self.count * (1 if chain_axis is None else self.shape[chain_axis])
        spread = blocks - ordered_mean(blocks)
        variance = ordered_sum(spread * spread) / (len(blocks) - 1)
        error = np.sqrt(variance / len(blocks) * (used / total))
        return np.where((blocks == blocks[0]).all(axis=0), 0.0, error)

    def tau(self, chain_axis: int | None = None) -> IntegratedTime:
        """Integrated autocorrelation time in measurements, ``[*shape]`` (without the chain axis).

        ``tau = bin_size tau_bins Var(bins) / Var(single measurements)``: both sides are
        ``n Var(mean) / 2``, so merging bins loses no part of it. NaN for a constant series.
        """
        self._need(2)
        series, variance = self.series(), self.variance()
        if chain_axis is None:
            series = np.moveaxis(series, 0, -1)[..., None, :]
        else:
            mean = self.mean()
            spread = mean - ordered_mean(mean, chain_axis).reshape(_kept(self.shape, chain_axis))
            variance = ordered_mean(variance + spread * spread, chain_axis)
            series = np.moveaxis(np.moveaxis(series, 0, -1), chain_axis % len(self.shape), -2)
        found = integrated_time(series)
        if self.bin_size == 1:
            return found
        ratio = np.divide(
            self.bin_size * found.variance,
            variance,
            out=np.full(np.shape(variance), np.nan),
            where=variance > 0,
        )
        draws = found.draws * self.bin_size
        tau = found.tau * ratio
        window = found.window * self.bin_size
        return IntegratedTime(tau, found.stderr * ratio, window, found.reliable, variance, draws)

    def state_dict(self) -> dict[str, Array]:
        """Plain arrays that hold everything; `from_state` of them continues with the same bits."""
        return {
            "capacity": np.int64(self.capacity),
            "count": np.int64(self.count),
            "bin_size": np.int64(self.bin_size),
            "in_partial": np.int64(self._in_partial),
            "origin": self._origin.copy(),
            "total": self._total.copy(),
            "total_squares": self._total_squares.copy(),
            "partial": self._partial.copy(),
            "sums": self._sums[: self.n_bins].copy(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Array]) -> BinnedSeries:
        """The series that `state_dict` described."""
        new = cls(np.shape(state["origin"]), int(state["capacity"]))
        new.count, new.bin_size = int(state["count"]), int(state["bin_size"])
        new.n_bins, new._in_partial = len(state["sums"]), int(state["in_partial"])
        for name in ("origin", "total", "total_squares", "partial", "sums"):
            setattr(new, f"_{name}", np.array(state[name], dtype=np.float64))
        return new

    def _block_size(self, n_min: int, chain_axis: int | None) -> int:
        if chain_axis is not None:
            n_min = max(-(-n_min // self.shape[chain_axis]), _MIN_BLOCKS_PER_CHAIN)
        return self.n_bins // n_min * self.bin_size

    def _need(self, n: int) -> None:
        if self.n_bins < n:
            raise ValueError(f"{self.n_bins} bins recorded, at least {n} are needed")


def pool(blocks: Array, chain_axis: int = -1) -> Array:
    """Blocks of several chains as one list: ``[block, *shape]`` to ``[chain * block, ...]``.

    `chain_axis` counts within `shape`, as in the methods of `BinnedSeries`.
    """
    axis = chain_axis + 1 if chain_axis >= 0 else chain_axis
    moved = np.moveaxis(blocks, axis, 0)
    return np.ascontiguousarray(moved.reshape(math.prod(moved.shape[:2]), *moved.shape[2:]))


def _blocks(series: Float64, n_min: int) -> Float64:
    size = len(series) // n_min
    number = len(series) // size
    kept = series[len(series) - number * size :]
    return ordered_mean(kept.reshape(number, size, *series.shape[1:]), 1)


def _kept(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    kept = list(shape)
    kept[axis] = 1
    return tuple(kept)
