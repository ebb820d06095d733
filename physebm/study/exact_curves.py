"""Exact sums as theory curves: any model without disorder whose log Z is a matter of moments.

Enumeration, transfer matrices (chains, narrow lattices) and closed forms (independent units), whichever
`free_energy.exact` takes. Models with quenched or trained arrays are left to the method `exact` of
[free_energy], which knows their values at every point.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from physebm.free_energy.exact import exact_log_z, reach
from physebm.schema.load import Loaded
from physebm.study.exact_energies import exact_energies
from physebm.theory.transfer_matrix import transfer

Values = Callable[[Loaded, np.ndarray], np.ndarray]

# log2 of the states of an enumeration and of the multiplications of a transfer matrix, per temperature:
# a curve has sixty, for energies and entropies each summed five times, and takes seconds.
STATE_BITS, WORK_BITS = 18.0, 22.0
POINTS = 60


def summable(loaded: Loaded) -> str | None:
    """The reason why no curve is drawn, or None."""
    hamiltonian = loaded.hamiltonian
    if any(slot.quenched or slot.trainable for slot in hamiltonian.slots):
        return "it sums models without disorder or learned arrays; `exact` of [free_energy] has those"
    found = reach(hamiltonian)
    small = found.way == "closed form"
    small |= found.way == "enumeration" and found.bits <= STATE_BITS
    small |= found.way == "transfer matrix" and transfer(hamiltonian).log2_work <= WORK_BITS
    if small:
        return None
    return (
        "a curve takes seconds for up to 18 units or narrow lattices; `exact` of [free_energy] has more"
    )


def places(loaded: Loaded, low: float, high: float) -> np.ndarray:
    """Temperatures of a smooth line."""
    return np.linspace(low, high, POINTS)


def _values(name: str) -> Values:
    def values(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
        T = np.asarray(temperatures, dtype=np.float64)
        params, units, where = loaded.params(), loaded.hamiltonian.counted_units, "plot.theory"
        if name in ("log_z", "free_energy"):
            log_z = exact_log_z(loaded.hamiltonian, params, loaded.coefficients(T), where)
            return log_z if name == "log_z" else -T * log_z / units
        found = exact_energies(loaded, params, T, where)
        return (found.energy if name == "energy" else found.entropy) / units

    return values


VALUES: dict[str, Values] = {
    name: _values(name) for name in ("log_z", "free_energy", "energy", "entropy")
}
