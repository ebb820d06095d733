"""What `show` prints: a model as mathematics, its plan, its generated kernel."""

from __future__ import annotations

from physebm.backends.cuda.shown import shown
from physebm.backends.numba_cpu.shown import source_of
from physebm.errors import InputError
from physebm.lowering.formula import TermText
from physebm.lowering.note import PriorText, physics_note
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import SweepPlan
from physebm.lowering.show import legend, plan_text
from physebm.schema.load import Loaded
from physebm.schema.words import STAGES

_OPTIONS = ("value", "mean", "std", "low", "high", "p")


def describe(loaded: Loaded, stage: str = "model", method: str = "heat-bath", chains: int = 1) -> str:
    """One stage of a model as text: ``model`` (a physics note), ``plan``, ``numba`` or ``cuda``.

    Plan and source are those for `chains` chains of one realisation that are swept together.
    """
    match stage:
        case "model":
            return note_of(loaded)
        case "plan":
            plan = plan_of(loaded, method, chains)
            return f"{plan_text(plan)}\n{legend(plan)}"
        case "numba":
            params = loaded.params()
            plan = plan_of(loaded, method, chains)
            source = source_of(plan, bind(plan, loaded.hamiltonian, params), chains)
            return _head("#", f"{source.name}.py", loaded, stage, method, chains) + source.text
        case "cuda":
            plan = plan_of(loaded, method, chains)
            name, text = shown(plan, bind(plan, loaded.hamiltonian, loaded.params()))
            return _head("//", f"{name}.cu", loaded, stage, method, chains) + text
        case _:
            raise InputError("--stage", got=stage, expected=STAGES)


def _head(comment: str, file: str, loaded: Loaded, stage: str, method: str, chains: int) -> str:
    """Two lines that say what a source is and how to print it."""
    name = loaded.hamiltonian.name
    many = f" --chains {chains}" if chains > 1 else ""
    return (
        f"{comment} {file}: shared by every model of this structure, here {name}\n"
        f"{comment} regenerate: physebm show {name} --stage {stage} --method {method}{many}\n"
    )


def plan_of(loaded: Loaded, method: str = "heat-bath", chains: int = 1) -> SweepPlan:
    """The sweep plan of a model at its parameters, for the values of its first realisation."""
    return lower(loaded.hamiltonian, Options.of(loaded.params(), method, chains))


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
            what = f"field of {term.field}" if term.field else f"coupling of {', '.join(term.couple)}"
            text = term.coupling.text
            strength = "0" if term.coupling.constant is not None else f"{text} = 0"
            lines.append(f"terms[{i}], a {what}, is left out: its strength is {strength}")
    return lines
