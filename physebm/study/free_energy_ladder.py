"""The methods that read a tempered run: log Z, energies, and averages between its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from physebm.backends.base import Backend
from physebm.free_energy.bennett import bar_rows
from physebm.free_energy.between import Between, Ladder
from physebm.free_energy.ladder import from_rows, works
from physebm.free_energy.multistate import mbar_rows
from physebm.free_energy.path import Path, placed, thermal_path
from physebm.free_energy.tempered_run import TemperedRun, equalised, record
from physebm.model.energy import energy_derivatives, log_normalisers
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients
from physebm.observables import order
from physebm.observables.derived import DERIVED
from physebm.rng.streams import key_of
from physebm.schema.free_energy_declarations import (
    ENERGETIC,
    LADDER_METHODS,
    FreeEnergyDeclaration,
    ReweightDeclaration,
)
from physebm.study.free_energy_data import starts
from physebm.study.free_energy_findings import Energies, Findings
from physebm.study.free_energy_subject import Subject

MOMENTS = {
    "energy": ("du_dbeta",),
    "magnetisation": ("m",),
    "abs_magnetisation": ("abs_m",),
    **{name: DERIVED[name].moments for name in ("specific_heat", "susceptibility", "binder")},
}
"""The averages behind each observable; names are those of `observables.derived`."""


def by_ladder(
    asked: FreeEnergyDeclaration, subject: Subject, backend: Backend, progress: Callable[[float], None]
) -> dict[str, Findings]:
    """What all asked methods that read a tempered run find, from one.

    The first of them holds what was reweighted, as ``reweighted/NAME [reweighted temperature]``.
    `progress` is called with the fraction of the run that is done, once its rows are placed.
    """
    declared, loaded = asked.ladder, subject.loaded
    methods = [name for name in asked.method if name in LADDER_METHODS]
    rows = loaded.coefficients(subject.temperatures)
    path = thermal_path(loaded.hamiltonian, subject.params, rows)
    name = ("free energy", *subject.name)
    adapted = equalised(
        path,
        backend,
        subject.seed,
        name,
        chains=declared.chains,
        acceptance=declared.acceptance,
    )
    betas = np.union1d(adapted.coefficients.beta, path.coefficients.beta)
    path = placed(path, betas)
    magnetic = asked.reweight is not None and not set(asked.reweight.observables) <= set(ENERGETIC)
    run = record(
        path,
        backend,
        subject.seed,
        name,
        chains=declared.chains,
        sweeps=declared.sweeps,
        discard=declared.discard,
        every=declared.every,
        starts=starts(subject, rows, key_of(subject.seed, *name)),
        measure=_magnetisation(loaded.hamiltonian) if magnetic else None,
        progress=lambda done, count: progress(done / count),
    )
    estimates = from_rows(path, run, methods)
    at = np.searchsorted(betas, rows.beta)
    # the mean of every chain; chains are independent
    means = run.energies[at].mean(axis=2)
    rungs = np.repeat(np.arange(rows.rungs), declared.chains)
    of_chains, _ = energy_derivatives(
        loaded.hamiltonian, rows, means.reshape(len(rungs), means.shape[-1]), rungs
    )
    of_chains = of_chains.reshape(rows.rungs, declared.chains)
    error = of_chains.std(axis=1, ddof=1) / np.sqrt(declared.chains)
    energies = Energies(of_chains.mean(axis=1), error)
    found = {m: Findings([held[k] for k in at], energies) for m, held in estimates.items()}
    if asked.reweight is not None:
        more = _reweighted(asked.reweight, subject, path, run)
        found[methods[0]] = found[methods[0]]._replace(more=more)
    return found


def _magnetisation(hamiltonian: Hamiltonian) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """``m`` of configurations ``{group: x[..., unit]}``, of all counted groups together."""
    groups = hamiltonian.counted

    def measure(x: Mapping[str, np.ndarray]) -> np.ndarray:
        total = sum(g.size * order.magnetisation(x[g.name], g.prior.kind, g.prior.q) for g in groups)
        return total / hamiltonian.counted_units

    return measure


def _reweighted(
    asked: ReweightDeclaration, subject: Subject, path: Path, run: TemperedRun
) -> dict[str, np.ndarray]:
    """Observables, log Z and effective draws at the temperatures of [free_energy.reweight]."""
    H, params = subject.loaded.hamiltonian, subject.params
    pairs = bar_rows(*works(path, run.energies))
    coefficients, constants = path.coefficients.value, path.constants
    solved = mbar_rows(run.energies, coefficients, constants, pairs.log_z)
    ladder = Ladder(run.energies, coefficients, constants, solved)
    targets = subject.loaded.coefficients(asked.temperature)
    offsets = log_normalisers(H, params, targets)[0]
    moments = tuple(dict.fromkeys(m for name in asked.observables for m in MOMENTS[name]))
    found: dict[str, list] = {}
    for k, temperature in enumerate(asked.temperature):
        drawn = _moments(moments, H, targets.take([k]), run)
        here = ladder.at(targets.value[k], offsets[k], drawn)
        numbers = {
            "temperature": temperature,
            "log_z": path.base_log_z + here.log_z,
            "log_z_stderr": here.log_z_stderr,
            "effective_samples": here.effective,
        }
        for name in asked.observables:
            value, stderr = _observable(name, moments, here, temperature, H.counted_units)
            numbers |= {name: value, f"{name}_stderr": stderr}
        for name, number in numbers.items():
            found.setdefault(f"reweighted/{name}", []).append(number)
    return {name: np.array(numbers) for name, numbers in found.items()}


def _moments(
    names: tuple[str, ...], hamiltonian: Hamiltonian, row: Coefficients, run: TemperedRun
) -> np.ndarray:
    """The named moments of every draw at one temperature, ``[row, chain, draw, moment]``."""
    E, draws = run.energies, int(np.prod(run.energies.shape[:-1]))
    first, second = energy_derivatives(
        hamiltonian, row, E.reshape(draws, E.shape[-1]), np.zeros(draws, dtype=int)
    )
    first, second = first.reshape(E.shape[:-1]), second.reshape(E.shape[:-1])
    m = np.zeros(E.shape[:-1]) if run.measured is None else run.measured
    known = {
        "du_dbeta": lambda: first,
        "du_dbeta_squared": lambda: first**2,
        "d2u_dbeta2": lambda: second,
        "m": lambda: m,
        "abs_m": lambda: np.abs(m),
        "m2": lambda: m**2,
        "m4": lambda: m**4,
    }
    return np.stack([known[name]() for name in names], axis=-1)


def _observable(
    name: str, moments: tuple[str, ...], here: Between, temperature: float, units: int
) -> tuple[float, float]:
    """Value and error of one observable, as studies define it, from averages of moments."""
    places = [moments.index(m) for m in MOMENTS[name]]
    constants = {"beta": 1.0 / temperature, "n_units": units}

    def formula(*means: float) -> float:
        own = [np.asarray(means[i]) for i in places]
        if name in DERIVED:
            return DERIVED[name].formula(*own, *(constants[c] for c in DERIVED[name].constants))
        return own[0] / units if name == "energy" else own[0]

    return here.derived(formula)
