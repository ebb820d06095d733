"""Couplings between all Potts units of a group as rows that a draw gathers (`Layout.GATHERS`).

The field on unit i is ``f_i(a) = sum_j J_ij(a, s_j)``: for every other unit one row of q numbers, which
stand side by side. Rows are padded with zeros to whole vectors and start where a vector may start, so
that reading one costs as few cache lines as it can.
"""

from __future__ import annotations

import numpy as np

ALIGNMENT = 64


def padded_states(q: int) -> int:
    """Numbers of a row: 4, or a multiple of 8."""
    return 4 if q <= 4 else -(-q // 8) * 8


def empty_rows(instances: int, units: int, q: int) -> np.ndarray:
    """Zeros ``[instance, drawn unit, other unit, its state, padded state]`` in float32."""
    shape = (instances, units, units, q, padded_states(q))
    size = int(np.prod(shape))
    held = np.zeros(size + ALIGNMENT // 4, np.float32)
    start = -held.ctypes.data % ALIGNMENT // 4
    return held[start : start + size].reshape(shape)


def fill_rows(rows: np.ndarray, values: np.ndarray | None, states: bool) -> None:
    """Overwrite rows with couplings ``values[instance, j, i(, b, a)]``."""
    _, units, _, q, _ = rows.shape
    values = np.ones((1, units, units)) if values is None else values
    if states:
        rows[..., :q] = values.reshape(-1, units, units, q, q).swapaxes(1, 2)
    else:
        for a in range(q):
            rows[..., a, a] = values.reshape(-1, units, units).swapaxes(1, 2)
    rows[:, np.arange(units), np.arange(units)] = 0.0


def couplings(rows: np.ndarray) -> np.ndarray:
    """The same as ``J[instance, width, width]``, row = the source."""
    count, units, _, q, _ = rows.shape
    return rows[..., :q].transpose(0, 2, 3, 1, 4).reshape(count, units * q, units * q)
