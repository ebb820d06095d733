"""What stands beside axes, panels and lines: names, symbols and units from stored attributes."""

from __future__ import annotations

import textwrap

import xarray as xr

from physebm.errors import InputError


def axis_label(variable: xr.DataArray) -> str:
    """``long name  symbol  [unit]`` from the stored attributes; dimensionless shows no unit.

    A long name is broken in two lines, so that it fits the side of a one-column figure.
    """
    long_name = variable.attrs.get("long_name", str(variable.name).replace("_", " "))
    symbol, units = variable.attrs.get("symbol", ""), variable.attrs.get("units", "1")
    tail = " ".join(part for part in (f"${symbol}$" * bool(symbol), f"[{units}]") if part != "[1]")
    lines = textwrap.wrap(long_name, 30)
    return " ".join(("\n".join(lines), *filter(None, [tail])))


def short_name(axis: xr.DataArray) -> str:
    """Its symbol, or its name in words where it has none."""
    symbol = axis.attrs.get("symbol")
    return f"${symbol}$" if symbol else axis.attrs.get("long_name", str(axis.name))


def value_text(axis: xr.DataArray, *, bare: bool = False) -> str:
    """A coordinate's value for a title (``start: random``, ``T = 0.5``) or alone."""
    value = axis.item()
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    if bare:
        return text
    return f"{short_name(axis)}: {text}" if isinstance(value, str) else f"{short_name(axis)} = {text}"


def check_names(ds: xr.Dataset, *names: str) -> None:
    """Refuse names that the dataset does not hold, listing those that it does."""
    for name in names:
        if name not in ds:
            there = [str(known) for known in (*ds.dims, *ds.data_vars)]
            raise InputError(f"plot: {name}", got=name, expected=there)
