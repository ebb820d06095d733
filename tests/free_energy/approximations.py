"""What the tests of mean field, TAP and Bethe share: exact values, and models with scaled couplings."""

from __future__ import annotations

import numpy as np
from learning_models import declared

from physebm.free_energy.exact import summed_out
from physebm.model.params import Coefficients
from physebm.model.terms import Field, Square
from physebm.theory.enumeration import enumerate_states

KEY = (5, 7)


def exact_log_z(hamiltonian, params, row) -> float:
    """By enumeration."""
    return float(enumerate_states(summed_out(hamiltonian), params, row).log_z[0])


def couplings_times(loaded, factor: float, temperature: float = 1.0) -> Coefficients:
    """The coefficient row with all couplings, but not fields and priors, times a factor."""
    row = loaded.coefficients([temperature])
    kept = np.array([isinstance(term, Field | Square) for term in loaded.hamiltonian.terms])
    return Coefficients(row.beta, np.where(kept, 1.0, factor) * row.value, row.first, row.second)


def graph(prior: str, units: int, edges, J: str, fields: bool = True, q: int = 0):
    """Units of one kind on a graph with the law `J` of its couplings, and random fields."""
    tail = f", {q}" if q else ""
    kind = f'prior = "{prior}"' + (f", q = {q}" if q else "")
    text = (
        f"[units]\ns = {{ {kind}, shape = {units} }}\n[arrays]\nJ = {{ {J} }}\n"
        f'[[terms]]\ncouple = ["s", "s"]\nJ = "J"\non = {{ edges = {{ values = {edges} }} }}\n'
    )
    if fields:
        text = text.replace(
            "[[terms]]", f'h = {{ law = "normal", std = 0.6, shape = [{units}{tail}] }}\n[[terms]]', 1
        )
        text += '[[terms]]\nfield = "s"\nh = "h"\n'
    return declared(text)
