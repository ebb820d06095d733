"""From a method's name to its estimates: log Z and <du/dbeta> at every temperature of a subject.

One function per family of methods. A tempered run serves all that read one (`free_energy_ladder`).
Energies, which entropies are made of, are averages of what a method sampled, derivatives of an exact
sum, or those of a fixed point; NaN where none is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from physebm.backends.base import Backend
from physebm.free_energy.annealed import annealed
from physebm.free_energy.averages import Thermal
from physebm.free_energy.bethe import estimate_bethe
from physebm.free_energy.bounded import held_against, lower_bounds
from physebm.free_energy.data_base import path_from_data
from physebm.free_energy.data_bound import likelihoods_held
from physebm.free_energy.estimate import Estimate
from physebm.free_energy.naive import estimate_mean_field
from physebm.free_energy.path import placed, scaled_path
from physebm.free_energy.population import population_annealing
from physebm.free_energy.schedule import adaptive, equal_speed
from physebm.free_energy.tap import estimate_tap
from physebm.rng.streams import key_of
from physebm.schema.free_energy_declarations import LADDER_METHODS, FreeEnergyDeclaration
from physebm.study.exact_energies import exact_energies
from physebm.study.free_energy_data import Seen, starts
from physebm.study.free_energy_findings import Energies, Findings
from physebm.study.free_energy_ladder import by_ladder
from physebm.study.free_energy_subject import Subject

Found = dict[str, Findings]
Fraction = Callable[[float], None]
FIXED_POINTS = {"mean-field": estimate_mean_field, "tap": estimate_tap, "bethe": estimate_bethe}


def run(
    method: str,
    asked: FreeEnergyDeclaration,
    subject: Subject,
    backend: Backend,
    known: Seen,
    progress: Fraction = lambda fraction: None,
) -> Found:
    """What each method found at every temperature, hottest first.

    Besides `method` itself the other methods that the same run serves, where they are asked for. All is
    held against rigorous lower bounds: that of mean field, and that of `known`, the data. `progress` is
    called with the fraction that is done.
    """
    found = _run(method, asked, subject, backend, progress)
    bounds = {} if known.bounds is None else {"data": known.bounds}
    if method == "mean-field":
        return {name: each._replace(estimates=_raised(each, bounds)) for name, each in found.items()}
    if method != "exact":
        rows = subject.loaded.coefficients(subject.temperatures)
        key = key_of(subject.seed, "bound", *subject.name)
        mean_field = lower_bounds(subject.loaded.hamiltonian, subject.params, rows, key)
        bounds = {"mean field": mean_field, **bounds}
    return {
        name: each._replace(estimates=_held(each.estimates, bounds, known))
        for name, each in found.items()
    }


def _held(estimates: list[Estimate], bounds: Mapping[str, np.ndarray], known: Seen) -> list[Estimate]:
    held = held_against(estimates, bounds)
    return likelihoods_held(held, known.potentials) if "data" in bounds else held


def _raised(found: Findings, bounds: Mapping[str, np.ndarray]) -> list[Estimate]:
    """Bounds themselves, which others may exceed: then the bracket begins at those."""
    better = bounds.get("data", np.full(len(found.estimates), np.nan))
    return [replace(each, low=float(np.fmax(each.low, b))) for each, b in zip(found.estimates, better)]


def _run(method: str, asked: FreeEnergyDeclaration, subject: Subject, backend, progress) -> Found:
    if method == "exact":
        return {method: _exact(subject)}
    if method in LADDER_METHODS:
        return by_ladder(asked, subject, backend, progress)
    if method == "ais":
        return {method: _annealing(asked, subject, backend, progress)}
    if method == "population-annealing":
        return {method: _population(asked, subject, backend, progress)}
    if method in FIXED_POINTS:
        return {method: _fixed_points(method, asked, subject)}
    raise AssertionError(method)


def _exact(subject: Subject) -> Findings:
    temperatures, where = subject.temperatures, "free_energy.method"
    found = exact_energies(subject.loaded, subject.params, temperatures, where)
    more = {"entropy": found.entropy, "entropy_stderr": found.entropy_stderr}
    return Findings(found.estimates, Energies(found.energy, found.energy_stderr), more)


class _Walks:
    """Progress of annealing at one of several temperatures: a walk forward, then one in reverse."""

    def __init__(self, before: int, temperatures: int, progress: Fraction):
        self._before, self._temperatures, self._progress = before, temperatures, progress
        self._walks = 0

    def told(self, done: int, rows: int) -> None:
        part = (self._walks + done / rows) / 2.0
        self._walks += done == rows
        self._progress((self._before + part) / self._temperatures)


def _annealing(asked: FreeEnergyDeclaration, subject: Subject, backend, progress) -> Findings:
    declared, loaded = asked.annealing, subject.loaded
    estimates = []
    for temperature in subject.temperatures:
        row = loaded.coefficients([temperature])
        known = subject.data is not None and "train" in subject.data.parts
        if not known or declared.base == "uniform":
            path = scaled_path(loaded.hamiltonian, subject.params, row, np.array([0.0, 1.0]))
        else:
            path = path_from_data(loaded.hamiltonian, subject.params, row, *subject.data.parts["train"])
        name = ("free energy", *subject.name, temperature)
        factors = equal_speed(path, backend, declared.temperatures, subject.seed, name)
        path = placed(path, factors)
        chains, sweeps = declared.chains, declared.sweeps
        data = starts(subject, row, key_of(subject.seed, *name))
        walk = _Walks(len(estimates), len(subject.temperatures), progress)
        estimates.append(
            annealed(
                path,
                backend,
                subject.seed,
                name,
                chains=chains,
                sweeps=sweeps,
                data=data,
                progress=walk.told,
            )
        )
    return _weighted(subject, estimates)


def _population(asked: FreeEnergyDeclaration, subject: Subject, backend, progress) -> Findings:
    declared, loaded = asked.population, subject.loaded
    estimates = []
    for temperature in subject.temperatures:
        row = loaded.coefficients([temperature])
        path = scaled_path(loaded.hamiltonian, subject.params, row, np.array([0.0, 1.0]))
        name = ("free energy", *subject.name, temperature)
        path = placed(path, adaptive(path, backend, subject.seed, name))
        estimates.append(
            population_annealing(
                path,
                backend,
                subject.seed,
                name,
                population=declared.size,
                runs=declared.runs,
                sweeps=declared.sweeps,
                data=starts(subject, row, key_of(subject.seed, *name)),
            )
        )
        progress(len(estimates) / len(subject.temperatures))
    return _weighted(subject, estimates)


def _weighted(subject: Subject, estimates: list[Estimate]) -> Findings:
    """With the energies of the weighted samples in which annealed runs end."""
    loaded = subject.loaded
    found = [
        each.diagnostics["averages"].thermal(loaded.hamiltonian, loaded.coefficients([temperature]))
        for each, temperature in zip(estimates, subject.temperatures)
    ]
    columns = {
        name: np.array([getattr(each, name) for each in found]) for name in Thermal.__annotations__
    }
    energies = Energies(columns["energy"], columns["energy_stderr"])
    return Findings(estimates, energies, {"entropy_stderr": columns["entropy_stderr"]})


def _fixed_points(method: str, asked: FreeEnergyDeclaration, subject: Subject) -> Findings:
    loaded, declared = subject.loaded, asked.fixed_points
    rows = loaded.coefficients(subject.temperatures)
    key = key_of(subject.seed, "fixed points", *subject.name)
    estimates = [
        FIXED_POINTS[method](
            loaded.hamiltonian,
            subject.params,
            rows.take([k]),
            key,
            random=declared.starts,
            step=1.0 - declared.damping,
        )
        for k in range(rows.rungs)
    ]
    energy = np.array([each.energy for each in estimates])
    return Findings(estimates, Energies(energy, np.full(rows.rungs, np.nan)))
