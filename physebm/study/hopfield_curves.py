"""What the theory of the Hopfield model says at a study's parameters: values over T, lines over loads.

Energies, free energies and entropies are per spin, at the realised load P/N.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from physebm.model.terms import LowRank
from physebm.schema.load import Loaded
from physebm.theory import hopfield

Values = Callable[[Loaded, np.ndarray], np.ndarray]
Line = tuple[str, np.ndarray, np.ndarray]


def load_of(loaded: Loaded) -> float:
    """The realised load P/N of a model with patterns."""
    return _low_rank(loaded)[0] / _low_rank(loaded)[1]


def _low_rank(loaded: Loaded) -> tuple[int, int]:
    """P and N: the shape of the patterns."""
    slot = "xi"
    for term in loaded.hamiltonian.terms:
        if isinstance(term, LowRank) and term.xi is not None:
            slot = term.xi
    patterns, *sites = loaded.hamiltonian.slot(slot).shape
    return int(patterns), int(np.prod(sites))


def with_patterns(loaded: Loaded) -> str | None:
    """The reason why the theory does not apply, or None."""
    if any(slot.name == "xi" for slot in loaded.hamiltonian.slots):
        return None
    if any(isinstance(term, LowRank) and term.xi for term in loaded.hamiltonian.terms):
        return None
    return "it is the theory of a model with patterns"


def without_diagonal(loaded: Loaded) -> str | None:
    """The same for free energies: a Gaussian form of the model has another zero of energy."""
    if any(isinstance(term, LowRank) and term.xi for term in loaded.hamiltonian.terms):
        return None
    return "it is the theory of a term with patterns, in which no unit is coupled to itself"


def retrieval_overlap(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
    """``m`` of the retrieval branch; NaN beyond its end."""
    return hopfield.retrieval_overlap(load_of(loaded), temperatures)


def equilibrium(pick: Callable[[hopfield.State], float]) -> Values:
    """A quantity of the state with the lowest free energy: retrieval below T_c(alpha), else without."""

    def values(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
        load = load_of(loaded)
        return np.array([pick(hopfield.equilibrium(load, float(t))) for t in temperatures])

    return values


def retrieval_energy(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
    """Energy per spin of the retrieval branch; NaN beyond its end."""
    found = [hopfield.retrieval(load_of(loaded), float(t)) for t in temperatures]
    return np.array([np.nan if state is None else state.energy for state in found])


def retrieval_q(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
    """Edwards-Anderson parameter of the retrieval branch; NaN beyond its end."""
    found = [hopfield.retrieval(load_of(loaded), float(t)) for t in temperatures]
    return np.array([np.nan if state is None else state.q for state in found])


def up_to_spinodal(loaded: Loaded, low: float, high: float) -> np.ndarray:
    """Denser towards T_M, where m ends with a vertical slope; the last point is at T_M itself."""
    end = float(hopfield.spinodal_temperature(load_of(loaded)))
    if not end > low:
        return np.array([low])
    end = min(high, end * (1.0 - 1e-9))
    return end - (end - low) * np.linspace(1.0, 0.0, 40) ** 2


def phase_lines(most: float) -> list[Line]:
    """T_M, T_c and T_g against the load, up to the load `most`.

    The spinodal is drawn as alpha_M(T), so that it is complete near T = 0, where it turns.
    """
    colder = np.linspace(1.0, 0.0, 80)
    spinodal = hopfield.spinodal_load(colder)
    # Dense at both ends, where the line is steep.
    share = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0.0, 1.0, 30))
    loads = hopfield.transition_load() * np.minimum(share, 1.0 - 1e-6)
    transition = hopfield.transition_temperature(loads)
    glassy = np.linspace(0.0, most, 200)
    return [
        ("$T_M$ (spinodal)", spinodal, colder),
        ("$T_c$", np.append(loads, loads[-1]), np.append(transition, 0.0)),
        ("$T_g$", glassy, hopfield.glass_temperature(glassy)),
    ]


RETRIEVAL: dict[str, Values] = {
    "retrieval_overlap": retrieval_overlap,
    "max_pattern_overlap": retrieval_overlap,
    "energy": retrieval_energy,
    "q_edwards_anderson": retrieval_q,
}
EQUILIBRIUM: dict[str, Values] = {
    "free_energy": equilibrium(lambda state: state.free_energy),
    "energy": equilibrium(lambda state: state.energy),
    "entropy": equilibrium(lambda state: state.entropy),
}
