"""Builders of small models from the structure alone, for the tests of the enumeration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.params import Coefficients, Params
from physebm.model.units import Prior

FOLDER = Path(__file__).parents[1] / "reference"


def reference(name):
    """The data of a file of independent numbers."""
    return json.loads((FOLDER / f"{name}.json").read_text())["data"]


def group(name, kind, size, *, q=0, visible=False, integrated=False):
    shape = (size,) if isinstance(size, int) else tuple(size)
    return Group(name, Prior(kind, q), shape, visible, integrated)


def plain(scale=1.0):
    """``c = beta scale``, and derivatives."""
    return lambda b: (b * scale, scale, 0.0)


def fixed(value=1.0):
    """A coefficient without beta."""
    return lambda b: (value, 0.0, 0.0)


def cubic(scale=1.0):
    """``c = scale beta^3``."""
    return lambda b: (scale * b**3, 3.0 * scale * b**2, 6.0 * scale * b)


def model(groups, terms, betas, arrays=None, lower=None, edges=None):
    """``terms`` is a list of (term, jet); arrays without the instance axis."""
    arrays = {name: np.asarray(values) for name, values in (arrays or {}).items()}
    slots = tuple(Slot(name, values.shape) for name, values in arrays.items())
    hamiltonian = Hamiltonian("toy", tuple(groups), tuple(term for term, _ in terms), slots)
    params = Params(
        {name: values[None] for name, values in arrays.items()},
        {t: np.asarray(e)[None] for t, e in (edges or {}).items()},
        {name: np.asarray(values, dtype=float)[None] for name, values in (lower or {}).items()},
    )
    table = np.array([[jet(b) for _, jet in terms] for b in betas], dtype=float)
    coefficients = Coefficients(np.asarray(betas, dtype=float), *np.moveaxis(table, -1, 0))
    return hamiltonian, params, coefficients
