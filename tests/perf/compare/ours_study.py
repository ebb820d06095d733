"""A whole study from the command line: the share of its wall time that sweep kernels take.

The first run, of eight points, compiles; the second is timed from outside, imports, figures and files
included. The result's own record says how long the sweeps took.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from timing import Timed, seconds_of

STUDY = Path(__file__).parents[3] / "studies" / "hopfield_phase.toml"
FEWEST = (
    "scan.alpha.linspace=[0.01, 0.16, 2]",
    "scan.disorder=1",
    "scan.temperature.linspace=[0.05, 1.5, 2]",
    "sample.discard=20",
    "sample.sweeps=320",
)


def share_of_kernels(brief: bool) -> Timed:
    """`seconds` is the wall time of the second run, `share` the kernels' part; `brief`: few points."""
    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder) / "first.nc", FEWEST)
        out = Path(folder) / "second.nc"
        seconds = seconds_of(lambda: _run(out, FEWEST if brief else ()))
        timed = Timed(seconds, 1)
        timed.more["share"] = _kernel_seconds(out) / seconds
    return timed


def _run(out: Path, settings: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "physebm", "run", str(STUDY), "--out", str(out)]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-300:]}{done.stderr[-300:]}")


def _kernel_seconds(result: Path) -> float:
    import netCDF4

    with netCDF4.Dataset(result) as held:
        record = held["provenance"]
        name = "seconds_kernels"
        return float(record.getncattr(name) if name in record.ncattrs() else record[name][...])
