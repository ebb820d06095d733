"""Where generated and compiled code is kept."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_directory"]


def cache_directory() -> Path:
    """``$PHYSEBM_CACHE``, or ``physebm`` in the user's cache directory."""
    chosen = os.environ.get("PHYSEBM_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "physebm"
