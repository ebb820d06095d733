"""The GPUs that this process may use, found without starting CUDA here: for the parent of workers."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

QUERY = ("nvidia-smi", "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Visible:
    """A device as ``CUDA_VISIBLE_DEVICES`` names it, and its free bytes where they are known."""

    name: str
    free: int | None = None


def visible_devices() -> tuple[Visible, ...]:
    """Devices in the order of CUDA_VISIBLE_DEVICES where it is set, else all; () where nobody says."""
    known = _asked()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return known
    free = {device.name: device.free for device in known}
    # numbers are in CUDA's own order, which need not be that of nvidia-smi
    return tuple(Visible(name, free.get(name)) for name in map(str.strip, named.split(",")) if name)


def _asked() -> tuple[Visible, ...]:
    try:
        done = subprocess.run(QUERY, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    found = []
    for line in done.stdout.splitlines():
        name, _, free = (part.strip() for part in line.partition(","))
        found.append(Visible(name, int(free) * 2**20 if free.isdigit() else None))
    return tuple(found)
