"""What the data of a subject say of its free energies: potentials, a bound, and starts of walks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from physebm.free_energy.data_bound import bounds_from_data
from physebm.free_energy.data_starts import data_starts
from physebm.free_energy.likelihood import visible_potential
from physebm.model.conditionals import Conditionals
from physebm.model.params import Coefficients
from physebm.model.roles import factorises, hidden_groups
from physebm.study.free_energy_subject import Subject

# Samples that walks and ladders start from; there are seldom more cold chains in the coldest rows.
STARTS = 1024


@dataclass(frozen=True)
class Seen:
    """Data against a model at every temperature.

    Attributes
    ----------
    kind
        ``potential``, or ``potential_bound`` where hidden units do not factorise.
    potentials
        Mean ``u(v) [temperature]`` of every part, ``-log p - log Z``.
    bounds
        The lower bound on log Z by distinct samples, ``[temperature]``; None for continuous visible
        units.
    """

    kind: str = "potential"
    potentials: Mapping[str, np.ndarray] = field(default_factory=dict)
    bounds: np.ndarray | None = None


def seen(subject: Subject) -> Seen:
    """What the data say; nothing without data."""
    if subject.data is None:
        return Seen()
    hamiltonian, parts = subject.loaded.hamiltonian, subject.data.parts
    hidden = hidden_groups(hamiltonian)
    rows = subject.loaded.coefficients(subject.temperatures)
    models = [Conditionals(hamiltonian, value, subject.params) for value in rows.value]
    u = {
        part: np.array([visible_potential(each, states, hidden) for each in models])
        for part, (states, _) in parts.items()
    }
    return Seen(
        "potential" if factorises(hamiltonian, hidden) else "potential_bound",
        {part: u[part] @ weights for part, (_, weights) in parts.items()},
        bounds_from_data(hamiltonian, [states for states, _ in parts.values()], u.values()),
    )


def starts(subject: Subject, row: Coefficients, key: tuple[int, int]) -> dict[str, np.ndarray] | None:
    """Configurations of all units at samples of the data, for the last row; None without data."""
    if subject.data is None:
        return None
    hamiltonian, parts = subject.loaded.hamiltonian, subject.data.parts.values()
    return data_starts(hamiltonian, subject.params, row.value[-1], parts, key, STARTS)
