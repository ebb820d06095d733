"""The theory curves that a study's [plot] tables may name, evaluated at the study's own parameters.

    ags          Hopfield model, replica symmetric, N to infinity at the realised load P/N
    kaufman      Ising model on the L x L torus, exact at every L
    onsager      Ising model on the infinite square lattice
    curie-weiss  Curie-Weiss model, exact at every N
    sk-rs        Sherrington-Kirkpatrick, replica symmetric, N to infinity; only where that is stable
    parisi       Sherrington-Kirkpatrick without field, N to infinity, four steps of symmetry breaking

Every one is a row of `THEORIES`: the observables it knows, their values over temperature for one set
of parameters, and (ags) the lines that it draws in a phase diagram. A quantity is NaN where the
theory does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from physebm.errors import StudyFileError
from physebm.model.terms import AllPairs, Lattice, LowRank, Pair
from physebm.schema.load import Loaded
from physebm.schema.study_declarations import PlotDeclaration, StudyDeclaration
from physebm.theory import curie_weiss, hopfield, ising2d, sk

Values = Callable[[Loaded, np.ndarray], np.ndarray]
Line = tuple[str, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Theory:
    """One named theory.

    Attributes
    ----------
    label
        What a legend calls it.
    values
        Observable -> function ``(model, temperatures) -> values``.
    applies
        The reason why the theory says nothing about a model, or None.
    temperatures
        ``(model, low, high) -> temperatures`` at which a smooth line is evaluated.
    boundaries
        ``loads -> [(label, loads, temperatures)]``, the lines of a phase diagram, or None.
    """

    label: str
    values: Mapping[str, Values]
    applies: Callable[[Loaded], str | None]
    temperatures: Callable[[Loaded, float, float], np.ndarray]
    boundaries: Callable[[float], list[Line]] | None = None


def theory(name: str, where: str) -> Theory:
    """The theory of that name; an unknown one is refused with the list of those there are."""
    if name not in THEORIES:
        raise StudyFileError(f"{where}.theory", got=name, expected=list(THEORIES))
    return THEORIES[name]


def check_theories(study: StudyDeclaration) -> None:
    """Raise where a [plot] table names a theory that does not exist, or not for this figure."""
    for where, plot in addresses(study):
        check_theory(plot, where)


def check_theory(plot: PlotDeclaration, where: str) -> None:
    """The same for one table."""
    for name in plot.theory:
        known = theory(name, where)
        if plot.kind == "curve" and plot.y not in known.values:
            hint = f"`{name}` has curves for these"
            raise StudyFileError(f"{where}.y", got=plot.y, expected=list(known.values), hint=hint)
        if plot.kind == "phase_diagram" and known.boundaries is None:
            legal = [each for each, held in THEORIES.items() if held.boundaries]
            hint = "these have lines for a phase diagram"
            raise StudyFileError(f"{where}.theory", got=name, expected=legal, hint=hint)
        if plot.kind == "histogram":
            raise StudyFileError(f"{where}.theory", got=name, hint="no theory draws histograms")


def addresses(study: StudyDeclaration) -> list[tuple[str, PlotDeclaration]]:
    """The [plot] tables with their addresses for messages, ``FILE: plot.KIND[number]``."""
    seen: dict[str, int] = {}
    found = []
    for plot in study.plots:
        number = seen[plot.kind] = seen.get(plot.kind, -1) + 1
        place = f"[{number}]" if number else ""
        found.append((f"{study.where}: plot.{plot.kind}{place}", plot))
    return found


# ---- Hopfield -----------------------------------------------------------------------------------


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


def _has_patterns(loaded: Loaded) -> str | None:
    if any(slot.name == "xi" for slot in loaded.hamiltonian.slots):
        return None
    if any(isinstance(term, LowRank) and term.xi for term in loaded.hamiltonian.terms):
        return None
    return "it is the theory of a model with patterns"


def _retrieval_overlap(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
    return hopfield.retrieval_overlap(load_of(loaded), temperatures)


def _retrieval_energy(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
    found = [hopfield.retrieval(load_of(loaded), float(t)) for t in temperatures]
    return np.array([np.nan if state is None else state.energy for state in found])


def _retrieval_q(loaded: Loaded, temperatures: np.ndarray) -> np.ndarray:
    found = [hopfield.retrieval(load_of(loaded), float(t)) for t in temperatures]
    return np.array([np.nan if state is None else state.q for state in found])


def _up_to_spinodal(loaded: Loaded, low: float, high: float) -> np.ndarray:
    """Denser towards T_M, where m ends with a vertical slope; the last point is at T_M itself."""
    end = float(hopfield.spinodal_temperature(load_of(loaded)))
    if not end > low:
        return np.array([low])
    end = min(high, end * (1.0 - 1e-9))
    return end - (end - low) * np.linspace(1.0, 0.0, 40) ** 2


def _hopfield_lines(most: float) -> list[Line]:
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


# ---- Ising on the square lattice ----------------------------------------------------------------


def _square(loaded: Loaded) -> str | None:
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


# ---- Curie-Weiss --------------------------------------------------------------------------------


def _complete(loaded: Loaded) -> str | None:
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


# ---- Sherrington-Kirkpatrick --------------------------------------------------------------------


def _sk(loaded: Loaded) -> str | None:
    pairs = [term for term in loaded.hamiltonian.terms if isinstance(term, Pair)]
    dense = len(pairs) == 1 and isinstance(pairs[0].graph, AllPairs) and pairs[0].J is not None
    if not dense or not loaded.hamiltonian.slot(pairs[0].J).quenched:
        return "it is the theory of quenched couplings between all pairs"
    return None


def _sk_without_field(loaded: Loaded) -> str | None:
    if loaded.env.get("h", 0.0) != 0:
        return "it is the theory without a field, h = 0"
    return _sk(loaded)


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


def _even(loaded: Loaded, low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 300)


THEORIES: dict[str, Theory] = {
    "ags": Theory(
        "AGS",
        {
            "retrieval_overlap": _retrieval_overlap,
            "max_pattern_overlap": _retrieval_overlap,
            "energy": _retrieval_energy,
            "q_edwards_anderson": _retrieval_q,
        },
        _has_patterns,
        _up_to_spinodal,
        _hopfield_lines,
    ),
    "kaufman": Theory(
        "Kaufman (exact)",
        {
            "energy": _per_coupling(ising2d.torus_energy, energy=True, torus=True),
            "specific_heat": _per_coupling(ising2d.torus_specific_heat, torus=True),
        },
        _square,
        _even,
    ),
    "onsager": Theory(
        "Onsager",
        {
            "energy": _per_coupling(ising2d.onsager_energy, energy=True),
            "specific_heat": _per_coupling(ising2d.onsager_specific_heat),
            "abs_magnetisation": _per_coupling(ising2d.spontaneous_magnetisation),
        },
        _square,
        _even,
    ),
    "curie-weiss": Theory(
        "exact",
        {
            "energy": _curie_weiss(curie_weiss.energy, 1),
            "specific_heat": _curie_weiss(curie_weiss.specific_heat),
            "magnetisation": _curie_weiss(curie_weiss.magnetisation),
            "abs_magnetisation": _curie_weiss(curie_weiss.abs_magnetisation),
            "binder": _curie_weiss(curie_weiss.binder),
            "susceptibility": _curie_weiss(curie_weiss.susceptibility, -1),
        },
        _complete,
        _even,
    ),
    "sk-rs": Theory(
        "replica symmetric",
        {
            "energy": _replica_symmetric(lambda state: state.energy),
            "magnetisation": _replica_symmetric(lambda state: state.m),
            "replica_overlap_squared": _replica_symmetric(lambda state: state.q**2),
        },
        _sk,
        _even,
    ),
    "parisi": Theory(
        "Parisi",
        {
            "energy": _parisi(lambda state: state.energy),
            "replica_overlap_squared": _parisi(_mean_square_overlap),
        },
        _sk_without_field,
        _even,
    ),
}
