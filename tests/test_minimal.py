"""The floor of observables needs numpy and what it says, and nothing of the rest of the house."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ABSENT = ("numba", "xarray", "netCDF4", "h5netcdf", "matplotlib", "click", "rich", "msgspec", "scipy")
PROGRAM = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r}:
            raise ImportError(f"{{name}} is not installed here")
sys.meta_path.insert(0, Absent())
import numpy as np
from physebm.observables import binning, correlation, derived, order, overlap, sums
s = np.array([[1, 1, -1, 1], [1, -1, -1, 1]], dtype=np.int8)
assert order.magnetisation(s, "ising").tolist() == [0.5, 0.0]
xi = s[:1, None, :]
m = overlap.pattern_overlaps(s, xi, np.zeros(2, dtype=int), "ising")
assert m.tolist() == [[1.0], [0.5]]
assert overlap.replica_overlap(s[:1], s[1:], "ising", None).tolist() == [0.5]
"""


def test_observables_run_with_numpy_alone():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
