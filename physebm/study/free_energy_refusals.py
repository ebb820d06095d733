"""[free_energy] against the models: everything impossible is refused at once, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from physebm.errors import InputError, LoweringError, StudyFileError
from physebm.free_energy.bethe import check_bethe
from physebm.free_energy.exact import OTHERS, check_exact
from physebm.free_energy.tap import check_tap
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.units import UnitKind
from physebm.schema.free_energy_declarations import (
    ENERGETIC,
    FREE_ENERGY_METHODS,
    FreeEnergyDeclaration,
)

# Methods that not every model can have; the others sample, or need no more than a declared energy.
CHECKS = {"exact": check_exact, "tap": check_tap, "bethe": check_bethe}
# Relative differences of temperatures that are rounding.
SLACK = 1e-9


def check_methods(
    asked: FreeEnergyDeclaration, hamiltonian: Hamiltonian, data: bool, file: str
) -> None:
    """Refuse methods that a model cannot have, all of them in one message.

    Parameters
    ----------
    data
        Whether there are data that annealing can start from.

    Raises
    ------
    LoweringError
        with every method, the reason, and the methods that would work.
    StudyFileError
        for annealing from the data of a study without any, where nothing else is wrong.
    """
    found = []
    impossible = _impossible(hamiltonian, file)
    working = ", ".join(name for name in FREE_ENERGY_METHODS if name not in impossible)
    kept = [name for name in asked.method if name not in impossible]
    if len(kept) < len(asked.method) - 1:
        kept = []  # one message about several says what is left in its head
    for i, method in enumerate(asked.method):
        if method in impossible:
            where = f"{file}: free_energy.method" + (f"[{i}]" if len(asked.method) > 1 else "")
            found.append(_addressed(impossible[method], where, working, method, kept))
    if "ais" in asked.method and asked.annealing.base == "data" and not data:
        hint = (
            'there are no data without [train] (in Python: without data); base = "uniform" starts '
            "without fields"
        )
        found.append(StudyFileError(f"{file}: free_energy.annealing.base", got="data", hint=hint))
    if len(found) == 1:
        raise found[0]
    if found:
        reasons = "\n".join(f"{number}. {each}" for number, each in enumerate(found, 1))
        raise LoweringError(
            f"{file}: free_energy.method",
            got=", ".join(name for name in asked.method if name in impossible),
            expected=f"for {hamiltonian.name} some of: {working}",
            hint=f"{len(found)} things cannot be had\n{reasons}",
        )


def check_reweighting(
    asked: FreeEnergyDeclaration, hamiltonian: Hamiltonian, temperatures: Sequence[float], file: str
) -> None:
    """Refuse observables without a meaning, and temperatures outside the ladder.

    It leads from independent units to the coldest temperature. Discrete units are independent at
    infinite temperature; continuous ones have a prior that depends on T, and stand at that of the
    hottest temperature on the way to no couplings.

    Raises
    ------
    StudyFileError
        with the range that is inside.
    """
    if asked.reweight is None:
        return
    counted = hamiltonian.counted
    potts = len(counted) > 1 and any(group.prior.kind is UnitKind.POTTS for group in counted)
    for i, name in enumerate(asked.reweight.observables):
        if potts and name not in ENERGETIC:
            hint = "the magnetisation of potts units is defined for one group: mark it visible"
            raise StudyFileError(f"{file}: free_energy.reweight.observables[{i}]", got=name, hint=hint)
    low, high = min(temperatures), np.inf
    if not all(group.prior.discrete for group in hamiltonian.groups):
        high = max(temperatures)
    for T in asked.reweight.temperature:
        if not low * (1.0 - SLACK) <= T <= high * (1.0 + SLACK):
            inside = f"{low:g} or more" if high == np.inf else f"{low:g} to {high:g}"
            hint = (
                "the ladder ends at the coldest temperature of the study; nothing is known of states "
                "that were never drawn: add one to temperature in [scan]"
            )
            where = f"{file}: free_energy.reweight.temperature"
            raise StudyFileError(where, got=T, expected=f"a temperature inside: {inside}", hint=hint)


def _impossible(hamiltonian: Hamiltonian, where: str) -> Mapping[str, LoweringError]:
    """The refusals of a model, by method."""
    found = {}
    for method, check in CHECKS.items():
        try:
            check(hamiltonian, where)
        except LoweringError as problem:
            found[method] = problem
    return found


def _addressed(
    problem: LoweringError, where: str, working: str, method: str, kept: Sequence[str]
) -> InputError:
    """The refusal at its place in the list; what it advises is what this model can have."""
    remove = f"remove `{method}` from free_energy.method"
    if not kept:
        hint = problem.hint.replace(OTHERS, working)
    elif OTHERS in problem.hint:
        hint = problem.hint.replace(
            OTHERS, f"the others that are asked for ({', '.join(kept)}): {remove}"
        )
    else:
        hint = f"{problem.hint}; {remove}"
    return LoweringError(where, got=problem.got, expected=problem.expected, hint=hint)
