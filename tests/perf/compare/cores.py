"""How many threads every process of the benchmark uses; imported before numpy, torch and numba."""

import os

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
for _name in VARIABLES:
    os.environ[_name] = str(THREADS)
os.environ.setdefault("WANDB_MODE", "disabled")
