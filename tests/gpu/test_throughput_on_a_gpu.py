"""The table of throughput, written to results/throughput.md for people to read: no time is asserted."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__)


def test_throughput_is_measured_and_written(capsys):
    out = HERE.parents[2] / "results" / "throughput.md"
    out.parent.mkdir(exist_ok=True)
    words = ["--seconds", "1", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, HERE.with_name("throughput.py"), *words], capture_output=True, text=True
    )
    with capsys.disabled():
        print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stderr
    assert out.exists()
