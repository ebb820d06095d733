"""What `show` prints: a model as mathematics, its plan, its generated kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from physebm.backends.cuda.shown import room_of, shown
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
_DOUBLINGS = tuple(2**n for n in range(12))  # no plan changes beyond so many chains


def describe(
    loaded: Loaded,
    stage: str = "model",
    method: str = "heat-bath",
    chains: int = 1,
    library: bool = False,
) -> str:
    """One stage of a model as text: ``model`` (a physics note), ``plan``, ``numba`` or ``cuda``.

    Plan and source are those for `chains` chains of one realisation that are swept together; ``cuda``
    includes the hand-written parts of its source by name, with `library` they are printed.
    """
    words = f"--stage {stage} --method {method}" + (f" --chains {chains}" if chains > 1 else "")
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
            told = _for_chains(loaded, method, chains, lambda plan: plan)
            return _head("#", told, f"{source.name}.py", loaded, words) + source.text
        case "cuda":
            plan = plan_of(loaded, method, chains)
            name, text = shown(plan, bind(plan, loaded.hamiltonian, loaded.params()), library)
            told = _for_chains(loaded, method, chains, room_of)
            words += " --library" if library else ""
            return _head("//", told, f"{name}.cu", loaded, words) + text
        case _:
            raise InputError("--stage", got=stage, expected=STAGES)


def _head(comment: str, told: str, file: str, loaded: Loaded, words: str) -> str:
    """Lines that say for how many chains a source is, what it is, and how to print it."""
    name = loaded.hamiltonian.name
    return (
        f"{comment} {told}\n"
        f"{comment} {file}: shared by every model of this structure, here {name}\n"
        f"{comment} regenerate: physebm show {name} {words}\n"
    )


def _for_chains(loaded: Loaded, method: str, chains: int, kind: Callable[[SweepPlan], object]) -> str:
    """For how many chains a plan is of this kind, and how to see those of other kinds."""
    options = Options.of(loaded.params(), method, chains)

    def kind_of(lanes: int) -> object:
        return kind(lower(loaded.hamiltonian, replace(options, lanes=lanes)))

    begins = [1]
    for low in _DOUBLINGS:
        high = 2 * low
        if kind_of(low) == kind_of(high):
            continue
        first = kind_of(low)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if kind_of(middle) == first else (low, middle)
        begins.append(high)
    if len(begins) == 1:
        return "For any number of chains swept together."
    ends = [*(f"to {n - 1}" for n in begins[1:]), "and more"]
    here = sum(n <= chains for n in begins) - 1
    others = [f"--chains {n} ({n} {ends[i]})" for i, n in enumerate(begins) if i != here]
    return f"For {begins[here]} {ends[here]} chains swept together; others: {', '.join(others)}."


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
