"""Which names a training will record, known before it begins: from the model and [train] alone.

`Record.measure` gives these at every age. A few may be missing: third moments of fewer than three
units or of states too many to be listed, overlaps of a single chain, likelihoods whose integral has no
closed form.
"""

from __future__ import annotations

from collections.abc import Iterable

from physebm.free_energy.exact import log_states, summed_out
from physebm.free_energy.likelihood import BITS
from physebm.learning.pseudo_score import scorable
from physebm.learning.recipe import CHAIN_METHODS, INVERSIONS
from physebm.learning.record_chains import SHORTEST
from physebm.learning.record_likelihood import likelihood_names
from physebm.learning.record_weights import weight_matrices
from physebm.learning.trainable import trained_slots
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.roles import factorises, hidden_groups, visible_groups
from physebm.model.units import UnitKind


def recorded_names(
    hamiltonian: Hamiltonian,
    method: str,
    parts: Iterable[str],
    tau_sweeps: int,
    likelihood: bool = False,
) -> tuple[str, ...]:
    """Everything that may be recorded, by the names of `storage.training_quantities`.

    Parameters
    ----------
    method, tau_sweeps
        Of [train].
    parts
        Of the data, among train, validation and test.
    likelihood
        Whether log-likelihoods are estimated.
    """
    parts, sampled = tuple(parts), method in CHAIN_METHODS
    hidden, listed = hidden_groups(hamiltonian), bool(log_states(summed_out(hamiltonian)) <= BITS)
    flat = factorises(hamiltonian, hidden)
    slots = trained_slots(hamiltonian)
    compared = sampled or method == "exact" or (not hidden and listed)
    names = ["projected"]
    if method not in INVERSIONS:
        names += ["gradient_norm", "rate"]
    if method == "pseudo-likelihood":
        names.append("objective")
    if listed:
        score = "log_likelihood" if flat else "log_likelihood_bound"
        names += ["log_z", *(f"{score}_{part}" for part in parts)]
    if likelihood:
        names += likelihood_names(parts, flat)
    if scorable(hamiltonian):
        names += [f"pseudo_log_likelihood_{part}{tail}" for part in parts for tail in ("", "_stderr")]
    if compared:
        names += [f"moment{k}_{tail}" for k in (1, 2, 3) for tail in ("rms", "pearson", "noise")]
    names += [f"weight_norm_{slot}" for slot in slots]
    for weight in weight_matrices(hamiltonian, slots):
        names += [f"singular_values_{weight.name}", f"weight_participation_{weight.name}"]
        if weight.side is not None:
            names += [f"mode_alignment_{weight.name}", f"mode_magnetisation_{weight.name}_data"]
            names += [f"mode_magnetisation_{weight.name}"] * compared
    for name in hidden:
        names += [f"hidden_mean_{name}_data", *[f"hidden_mean_{name}"] * compared]
        if hamiltonian.group(name).prior.kind is not UnitKind.POTTS:
            names.append(f"hidden_participation_{name}")
    if flat:
        names.append("data_energy")
    return (*names, *(_of_chains(hamiltonian, method, tau_sweeps) if sampled else ()))


def _of_chains(hamiltonian: Hamiltonian, method: str, tau_sweeps: int) -> list[str]:
    names = ["chain_energy", "chain_energy_variance", "ess_fraction"]
    if len({hamiltonian.group(name).prior for name in visible_groups(hamiltonian)}) == 1:
        names += ["chain_magnetisation", "chain_abs_magnetisation", "data_overlap"]
        names += ["replica_overlap", "replica_overlap_squared"]
    if method == "pt":
        names += ["swap_acceptance", "swap_acceptance_lowest"]
    if tau_sweeps >= SHORTEST:
        names += ["chain_tau", "chain_tau_stderr", "chain_tau_reliable", "chain_lag"]
        names += ["chain_verdict", "chain_verdict_message"]
    return names
