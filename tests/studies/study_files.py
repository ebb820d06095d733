"""Small studies as text, and the datasets of two runs compared bit by bit."""

from pathlib import Path

import numpy as np

ISING = """
title = "small Ising study"
model = "ising_2d"
seed  = 7
[set]
L = 6
[scan]
temperature = [2.0, 2.5, 3.5]
[sample]
chains  = 2
discard = 32
sweeps  = 320
every   = 2
[observe]
record = ["energy", "specific_heat", "magnetisation", "binder", "overlap_distribution"]
series = true
"""

HOPFIELD = """
title = "small Hopfield study"
model = "hopfield"
seed  = 3
[set]
N = 40
[scan]
alpha       = [0.05, 0.1]
start       = ["pattern", "random"]
disorder    = 2
temperature = [0.3, 0.9]
[sample]
chains  = 2
discard = 20
sweeps  = 200
every   = 2
[observe]
record = ["energy", "retrieval_overlap", "max_pattern_overlap", "q_edwards_anderson"]
"""

SK = """
title = "small SK study"
model = "sk"
seed  = 11
[set]
N = 24
[scan]
disorder    = 3
temperature = [0.6, 1.2]
[sample]
chains  = 2
discard = 64
sweeps  = 640
every   = 2
[observe]
record = ["energy", "replica_overlap_squared"]
"""


def write(folder: Path, text: str, name: str = "study.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def assert_same_bits(a, b, but=()):
    """Every variable of two datasets has the same bytes, apart from those named."""
    assert set(a.data_vars) == set(b.data_vars)
    for name in a.data_vars:
        if name not in but:
            x, y = a[name].values, b[name].values
            assert x.dtype == y.dtype and x.shape == y.shape, name
            same = x.tobytes() == y.tobytes() if x.dtype.kind != "O" else np.array_equal(x, y)
            assert same, f"{name} differs"
