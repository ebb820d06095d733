"""The smallest loops over rows of arrays, which compiled functions share."""

from __future__ import annotations

from numba import njit

__all__ = ["add_row", "copy_row"]


# inlined without counts of references, which atomic instructions keep for every row that is passed on
@njit(_nrt=False, forceinline=True)
def copy_row(place, row):
    """``place = row``, as far as `place` goes."""
    for i in range(place.shape[0]):
        place[i] = row[i]


@njit(_nrt=False, forceinline=True)
def add_row(total, row):
    """``total += row``, as far as `total` goes."""
    for i in range(total.shape[0]):
        total[i] += row[i]
