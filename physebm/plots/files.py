"""Figures to files, equal figures to equal files."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.figure import Figure

from physebm.plots.style import STYLE, styled
from physebm.storage.atomic import replacing


@styled
def save(
    fig: Figure, path: str | os.PathLike, *, pdf: bool = False, dpi: int = STYLE["savefig.dpi"]
) -> list[Path]:
    """Write the figure as PNG and, if asked, as PDF beside it; each file atomically.

    Nothing that changes between equal figures (dates, versions) is written.
    """
    path = Path(path).with_suffix(".png")
    kinds = {"png": (path, {"Software": None})}
    if pdf:
        kinds["pdf"] = (path.with_suffix(".pdf"), {"CreationDate": None, "Producer": None})
    for kind, (target, metadata) in kinds.items():
        with replacing(target) as temporary:
            fig.savefig(temporary, format=kind, metadata=metadata, dpi=dpi)
    return [target for target, _ in kinds.values()]
