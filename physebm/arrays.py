"""Array aliases with named axes: what the suffix of a name means.

``x_ln`` [lane, unit], ``E_lt`` [lane, term], ``c_rt`` [rung, term], ``m_lp`` [lane, pattern]. A *lane*
is one chain or walker in a kernel call, an *instance* one set of values (a disorder sample), a
*rung* one set of coefficients (a temperature).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = np.ndarray
Float64: TypeAlias = npt.NDArray[np.float64]
Int64: TypeAlias = npt.NDArray[np.int64]
Key: TypeAlias = tuple[int, int]
