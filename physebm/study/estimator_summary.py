"""What a run says of [free_energy]: a row per method, and why estimates are not trusted.

Every method is told, not the first alone: what it found over the grid, how many of its estimates are
worth what, and per method and verdict the first reason with the point that it is of.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from physebm.storage.free_energy import VERDICTS
from physebm.study.run_summary import SummaryTable, number

TITLE = "log Z by estimator (/free_energies)"
NOT_TRUSTED = ("suspect", "failed", "not_run")


def estimator_table(group: xr.Dataset) -> SummaryTable:
    """A row per method: range (or value) of log Z, its error, and how many have which verdict.

    Parameters
    ----------
    group
        The group ``/free_energies`` of a result.
    """
    single = group["log_z"].isel(estimator=0).size == 1
    picks: list[Callable] = [np.nanmin] if single else [np.nanmin, np.nanmax]
    heads = ("method", "log_z", "error") if single else ("method", "least", "greatest", "median error")
    judged = [
        k for k, word in enumerate(VERDICTS) if word != "not_run" or (group["verdict"] == k).any()
    ]
    heads += tuple(VERDICTS[k].replace("_", " ") for k in judged)
    rows = []
    for method in group["estimator"].values:
        own = group.sel(estimator=method)
        cells = [str(method), *[number(pick, own["log_z"]) for pick in picks]]
        cells.append(number(np.nanmedian, own["log_z_stderr"]))
        cells += [str(int((own["verdict"] == k).sum())) for k in judged]
        rows.append(tuple(cells))
    return SummaryTable(TITLE, heads, tuple(rows))


def estimator_reasons(group: xr.Dataset) -> list[str]:
    """Per method and verdict below *trusted* the first reason, ``METHOD VERDICT at POINT: reason``."""
    lines = []
    dims = [str(dim) for dim in group["verdict"].dims if dim != "estimator"]
    for method in group["estimator"].values:
        own = group.sel(estimator=method).transpose(*dims, ...)
        for verdict in NOT_TRUSTED:
            places = np.argwhere((own["verdict"] == VERDICTS.index(verdict)).values)
            if not len(places):
                continue
            first = dict(zip(dims, map(int, places[0])))
            reason = str(own["verdict_message"].isel(first).item()) or "no result, see `message`"
            at = ", ".join(f"{dim} = {own[dim].values[i]}" for dim, i in first.items())
            others = len(places) - 1
            more = f" (and {others} more point{'s' * (others != 1)})" if others else ""
            place = f" at {at}" if at else ""
            lines.append(f"{method} {verdict.replace('_', ' ')}{place}: {reason}{more}")
    return lines
