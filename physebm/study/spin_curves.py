"""What the theories of Ising models and glasses say at a study's own parameters, as functions of T.

A theory knows its model at unit coupling; here energies and free energies are multiplied by the
coupling J, and temperatures divided by it. Energies, free energies and entropies are per spin, log Z is
the total.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import PchipInterpolator

from physebm.model.terms import AllPairs, Lattice, Pair
from physebm.schema.load import Loaded
from physebm.theory import curie_weiss, ising2d, sk

Values = Callable[[Loaded, np.ndarray], np.ndarray]


def on_the_square_lattice(loaded: Loaded) -> str | None:
    """The reason why Kaufman and Onsager say nothing about a model, or None."""
    pairs = [term for term in loaded.hamiltonian.terms if isinstance(term, Pair)]
    square = len(pairs) == 1 and isinstance(pairs[0].graph, Lattice)
    square = square and pairs[0].graph.name == "square" and all(pairs[0].graph.periodic)
    if not square:
        return "it is the theory of the periodic square lattice"
    return _plain_ferromagnet(loaded)


def _plain_ferromagnet(loaded: Loaded) -> str | None:
    if any(slot.quenched for slot in loaded.hamiltonian.slots):
        return "it is the theory of a ferromagnet without disorder"
    if loaded.env.get("J", 1.0) <= 0:
        return "it is the theory of a ferromagnet, J > 0"
    if loaded.env.get("h", 0.0) != 0:
        return "it is the theory without a field, h = 0"
    return None


def _per_coupling(function: Callable, *, energy: bool = False, torus: bool = False) -> Values:
    """A function of beta J as one of T; an energy is then in units of J."""

    def values(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
        coupling = loaded.env.get("J", 1.0)
        sides = loaded.hamiltonian.counted[0].shape if torus else ()
        found = function(coupling / temperatures, *sides)
        return np.asarray(found) * (coupling if energy else 1.0)

    return values


def all_coupled(loaded: Loaded) -> str | None:
    """The reason why a model is no Curie-Weiss model, or None."""
    pairs = [term for term in loaded.hamiltonian.terms if isinstance(term, Pair)]
    if len(pairs) != 1 or not isinstance(pairs[0].graph, AllPairs) or "N" not in loaded.env:
        return "it is the theory of a ferromagnet in which all pairs are coupled"
    if any(slot.quenched for slot in loaded.hamiltonian.slots):
        return "it is the theory of a ferromagnet without disorder"
    if loaded.env.get("J", 1.0) <= 0:
        return "it is the theory of a ferromagnet, J > 0"
    return None


def _curie_weiss(function: Callable, power: int = 0) -> Values:
    """A function of (beta J, N, h/J) as one of T; multiplied by J to a power."""

    def values(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
        coupling, field = loaded.env.get("J", 1.0), loaded.env.get("h", 0.0)
        found = function(coupling / temperatures, int(loaded.env["N"]), field / coupling)
        return np.asarray(found) * coupling**power

    return values


def glass(loaded: Loaded) -> str | None:
    """The reason why a model is no Sherrington-Kirkpatrick model, or None."""
    pairs = [term for term in loaded.hamiltonian.terms if isinstance(term, Pair)]
    dense = len(pairs) == 1 and isinstance(pairs[0].graph, AllPairs) and pairs[0].J is not None
    if not dense or not loaded.hamiltonian.slot(pairs[0].J).quenched:
        return "it is the theory of quenched couplings between all pairs"
    return None


def glass_without_field(loaded: Loaded) -> str | None:
    """The same, where there must be no field."""
    if loaded.env.get("h", 0.0) != 0:
        return "it is the theory without a field, h = 0"
    return glass(loaded)


def _replica_symmetric(pick: Callable[[sk.ReplicaSymmetric], float]) -> Values:
    def values(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
        field = loaded.env.get("h", 0.0)
        states = [sk.replica_symmetric(float(t), field) for t in temperatures]
        return np.array([pick(s) if s.stability >= 0.0 else np.nan for s in states])

    return values


def _parisi(pick: Callable[[sk.Parisi], float]) -> Values:
    """Solved at temperatures 0.05 apart and interpolated; the solution is smooth below T_c = 1."""

    def values(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
        low = max(sk.COLDEST, float(np.min(temperatures)))
        found = np.array([pick(sk.parisi(float(t))) if t >= 1.0 else np.nan for t in temperatures])
        if low < 1.0:
            nodes = np.linspace(low, 1.0, 2 + int((1.0 - low) / 0.05))
            smooth = PchipInterpolator(nodes, [pick(sk.parisi(float(t))) for t in nodes])
            cold = (temperatures < 1.0) & (temperatures >= low)
            found[cold] = smooth(temperatures[cold])
        return found

    return values


def _mean_square_overlap(state: sk.Parisi) -> float:
    """Integral of q(x)^2 over x, which is [<q^2>]."""
    lengths = np.diff(np.append(state.m, 1.0))
    return float(lengths @ np.square(state.q)) if state.q else 0.0


KAUFMAN: dict[str, Values] = {
    "energy": _per_coupling(ising2d.torus_energy, energy=True, torus=True),
    "specific_heat": _per_coupling(ising2d.torus_specific_heat, torus=True),
    "log_z": _per_coupling(ising2d.torus_log_z, torus=True),
    "free_energy": _per_coupling(ising2d.torus_free_energy, energy=True, torus=True),
    "entropy": _per_coupling(ising2d.torus_entropy, torus=True),
}
ONSAGER: dict[str, Values] = {
    "energy": _per_coupling(ising2d.onsager_energy, energy=True),
    "specific_heat": _per_coupling(ising2d.onsager_specific_heat),
    "abs_magnetisation": _per_coupling(ising2d.spontaneous_magnetisation),
    "free_energy": _per_coupling(ising2d.onsager_free_energy, energy=True),
    "entropy": _per_coupling(ising2d.onsager_entropy),
}
CURIE_WEISS: dict[str, Values] = {
    "energy": _curie_weiss(curie_weiss.energy, 1),
    "specific_heat": _curie_weiss(curie_weiss.specific_heat),
    "magnetisation": _curie_weiss(curie_weiss.magnetisation),
    "abs_magnetisation": _curie_weiss(curie_weiss.abs_magnetisation),
    "binder": _curie_weiss(curie_weiss.binder),
    "susceptibility": _curie_weiss(curie_weiss.susceptibility, -1),
    "log_z": _curie_weiss(curie_weiss.log_z),
    "free_energy": _curie_weiss(curie_weiss.free_energy, 1),
    "entropy": _curie_weiss(curie_weiss.entropy),
}
SK_RS: dict[str, Values] = {
    "energy": _replica_symmetric(lambda state: state.energy),
    "magnetisation": _replica_symmetric(lambda state: state.m),
    "replica_overlap_squared": _replica_symmetric(lambda state: state.q**2),
    "free_energy": _replica_symmetric(lambda state: state.free_energy),
    "entropy": _replica_symmetric(lambda state: state.entropy),
}
PARISI: dict[str, Values] = {
    "energy": _parisi(lambda state: state.energy),
    "replica_overlap_squared": _parisi(_mean_square_overlap),
    "free_energy": _parisi(lambda state: state.free_energy),
    "entropy": _parisi(lambda state: state.entropy),
}
