"""What `show` prints: a model as mathematics, its plan, its generated kernel."""

from __future__ import annotations

from physebm.backends.numba_cpu.emit import emit
from physebm.errors import InputError
from physebm.lowering.formula import TermText
from physebm.lowering.note import PriorText, physics_note
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import SweepPlan
from physebm.lowering.show import plan_text
from physebm.schema.load import Loaded
from physebm.schema.words import STAGES

_OPTIONS = ("value", "mean", "std", "low", "high", "p")


def describe(loaded: Loaded, stage: str = "model", method: str = "heat-bath") -> str:
    """One stage of a model as text: ``model`` (a physics note), ``plan`` or ``numba`` (source)."""
    match stage:
        case "model":
            return note_of(loaded)
        case "plan":
            return plan_text(plan_of(loaded, method))
        case "numba":
            source = emit(plan_of(loaded, method))
            name = loaded.hamiltonian.name
            head = (
                f"# {source.name}.py: shared by every model of this structure, here {name}\n"
                f"# regenerate: physebm show {name} --stage numba --method {method}\n"
            )
            return head + source.text
        case _:
            raise InputError("--stage", got=stage, expected=STAGES)


def plan_of(loaded: Loaded, method: str = "heat-bath") -> SweepPlan:
    """The sweep plan of a model at its parameters."""
    return lower(loaded.hamiltonian, Options(method, loaded.integer_slots))


def note_of(loaded: Loaded) -> str:
    """The Hamiltonian as mathematics, on one page."""
    declared = loaded.declaration
    arrays = {}
    for slot, held in loaded.sources.items():
        options = [f"{k} {getattr(held, k).text}" for k in _OPTIONS if getattr(held, k) is not None]
        origin = held.law or (f"file {held.file}" if held.file else "inline values")
        arrays[slot] = ", ".join([origin, *options])
    priors = {
        name: PriorText(
            getattr(unit.variance, "text", "array"),
            getattr(unit.lower, "text", "array") if unit.lower else "0",
        )
        for name, unit in declared.units.items()
        if unit.variance is not None
    }
    env = {**loaded.env, "T": 1.0, "beta": 1.0}
    return physics_note(
        loaded.hamiltonian,
        [TermText(each.text, each.value(env)) for each in loaded.strengths],
        arrays=arrays,
        priors=priors,
        parameters=loaded.env,
        title=declared.title,
        source=declared.source,
        conventions=declared.conventions or "",
        absent=_absent(loaded),
    )


def _absent(loaded: Loaded) -> list[str]:
    """Declared terms whose strength is the number 0, which the Hamiltonian does not have."""
    lines = []
    for i, term in enumerate(loaded.declaration.terms):
        if i not in loaded.structure.kept:
            names = term.field if term.field is not None else ", ".join(term.couple)
            text = f"{'h' if term.field is not None else 'J'} = {term.coupling.text}"
            value = "" if term.coupling.constant is not None else " = 0"
            lines.append(f"terms[{i}] of {names} is left out: {text}{value}")
    return lines
