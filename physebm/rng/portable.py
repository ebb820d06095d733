"""An exponential whose bits are the same on every machine and backend.

Libraries round ``exp`` differently in the last place, numpy among others by the width of the
processor's vectors. Where a random word is compared with a probability that no table holds (exchanges
between temperatures), that would now and then send two machines different ways. Sums and products of
doubles are rounded the same everywhere as long as none is fused; the CUDA library has the same
function, written with operations that compilers may not fuse.
"""

from __future__ import annotations

import numpy as np

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
DEGREE = 13
# 1 / k!, rounded to double; k = 0 .. 13
COEFFICIENTS = (
    1.0, 1.0, 0.5, 0.16666666666666666, 0.041666666666666664, 0.008333333333333333,
    0.001388888888888889, 0.0001984126984126984, 2.48015873015873e-05, 2.7557319223985893e-06,
    2.755731922398589e-07, 2.505210838544172e-08, 2.08767569878681e-09, 1.6059043836821613e-10,
)  # fmt: skip


def exp_of_negative(x: np.ndarray) -> np.ndarray:
    """``exp(x)`` for x <= 0, relative error below 4e-16; 0 below -745.

    ``x = n ln 2 + r`` with |r| <= 0.35, ln 2 in two parts so that n ln 2 is exact; Taylor's series of
    exp(r) to degree 13 by Horner's rule.
    """
    x = np.maximum(np.asarray(x, dtype=np.float64), -750.0)
    n = np.rint(x * LOG2_E)
    r = x - n * LN2_HIGH
    r = r - n * LN2_LOW
    series = np.full(r.shape, COEFFICIENTS[DEGREE])
    for k in range(DEGREE - 1, -1, -1):
        series = series * r
        series = series + COEFFICIENTS[k]
    return np.ldexp(series, n.astype(np.int32))
