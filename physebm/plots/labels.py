"""What stands beside axes, panels and lines: names, symbols and units from stored attributes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

import xarray as xr

from physebm.errors import InputError

_LEADING_ON = ("of", "the", "in", "with", "to", "between", "on")


def axis_label(variable: xr.DataArray) -> str:
    """``long name  symbol  [unit]`` from the stored attributes; dimensionless shows no unit.

    A long name is broken in two lines, so that it fits the side of a one-column figure.
    """
    long_name = variable.attrs.get("long_name", str(variable.name).replace("_", " "))
    symbol, units = variable.attrs.get("symbol", ""), variable.attrs.get("units", "1")
    tail = " ".join(part for part in (f"${symbol}$" * bool(symbol), f"[{units}]") if part != "[1]")
    lines = textwrap.wrap(long_name, 30)
    return " ".join(("\n".join(lines), *filter(None, [tail])))


def common_label(variables: Sequence[xr.DataArray]) -> str:
    """The label of an axis that several quantities share: the words that all their names begin with.

    The label of the first where they have none in common.
    """
    words = _common_words(variables)
    while words and words[-1] in _LEADING_ON:
        words.pop()
    if len(variables) == 1 or not words:
        return axis_label(variables[0])
    shared = variables[0].attrs.copy() | {"long_name": " ".join(words)}
    if len({variable.attrs.get("symbol") for variable in variables}) > 1:
        shared["symbol"] = ""
    return axis_label(variables[0].drop_attrs().assign_attrs(shared))


def distinct_labels(variables: Sequence[xr.DataArray]) -> list[str]:
    """What tells several quantities apart: their names without the words that all begin with."""
    skipped = len(_common_words(variables))
    return [" ".join(_words(variable)[skipped:]) or short_name(variable) for variable in variables]


def _common_words(variables: Sequence[xr.DataArray]) -> list[str]:
    words = []
    for same in zip(*map(_words, variables)):
        if len(set(same)) > 1:
            break
        words.append(same[0])
    return words


def _words(variable: xr.DataArray) -> list[str]:
    return variable.attrs.get("long_name", str(variable.name).replace("_", " ")).split()


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


def wrapped(text: str, width: int) -> str:
    """The text in lines of at most `width` letters, broken after blanks and underscores."""
    lines = [""]
    for part in re.findall(r"[^ _]+[ _]?|[ _]", text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def panel_title(axis: xr.DataArray, panels: int) -> str:
    """A coordinate's value over one of so many panels beside each other."""
    return wrapped(value_text(axis), 72 // panels)


def line_label(axis: xr.DataArray) -> str:
    """What a legend calls the line of a coordinate's value: texts speak for themselves."""
    value = value_text(axis, bare=True)
    return value if axis.dtype.kind in "OUT" else f"{short_name(axis)} = {value}"


def check_positive(ds: xr.Dataset, *names: str) -> None:
    """Refuse a logarithmic axis for quantities without a single value above 0."""
    if not any(bool((ds[name] > 0).any()) for name in names):
        hint = "no value is above 0, and others have no logarithm"
        raise InputError("plot: log", got=", ".join(names), hint=hint)


def check_names(ds: xr.Dataset, *names: str) -> None:
    """Refuse names that the dataset does not hold, listing those that it does."""
    for name in names:
        if name not in ds:
            there = [str(known) for known in (*ds.dims, *ds.data_vars)]
            raise InputError(f"plot: {name}", got=name, expected=there)
