"""The script that measures on a GPU runs to its end, here at tiny sizes and without one."""

import subprocess
import sys
from pathlib import Path

import pytest
from host_kernels import needs_compiler

SCRIPT = Path(__file__).parents[1] / "gpu" / "throughput.py"


@needs_compiler
@pytest.mark.slow
def test_every_case_is_measured(tmp_path):
    out = tmp_path / "throughput.md"
    words = ["--backend", "cuda-host", "--small", "--out", str(out)]
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = out.read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 10 and "no speed of a GPU" in text
    assert all(float(row[2].split()[0]) > 0 for row in rows)
    # cases whose sizes have faster kernels are measured with them
    assert {row[1].split(",")[0] for row in rows} >= {"PlanesKernels", "DenseKernels", "TileKernels"}
