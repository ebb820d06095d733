"""The exception tree; every error a user can cause is one of these.

::

    PhysebmError                 base; carries a message made for a person
     |- InputError               something the user wrote is wrong (exit status 2)
     |   |- ModelFileError       models.toml or an inline model
     |   |- StudyFileError       a study file or --set
     |   |- LoweringError        this update cannot sample this Hamiltonian
     |   `- ResultFileError      a result or checkpoint that cannot be used as asked
     |- BackendError             a backend is missing or failed to compile (exit status 1)
     `- StudyError               a run that failed (exit status 1)
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# A list of legal names beyond this many characters has the nearest one before it, not behind it.
LONG = 70

SYNONYMS: dict[str, str | None] = {
    # observables
    "heat_capacity": "specific_heat",
    "cv": "specific_heat",
    "internal_energy": "energy",
    "order_parameter": "magnetisation",
    "binder_cumulant": "binder",
    "fourth_order_cumulant": "binder",
    "cumulant": "binder",
    "u4": "binder",
    "chi": "susceptibility",
    "overlap": "replica_overlap",
    "edwards_anderson_parameter": "q_edwards_anderson",
    "q_ea": "q_edwards_anderson",
    "parisi_overlap": "replica_overlap",
    "spin_glass_susceptibility": "sg_susceptibility",
    "chi_sg": "sg_susceptibility",
    "correlation_length": "correlation_length_over_L",
    "free_energy": None,
    "entropy": None,
    # lattices and glasses
    "ising": "ising_2d",
    "ising_1d": "ising_chain",
    "ising_square": "ising_2d",
    "square_ising": "ising_2d",
    "ising_cubic": "ising_3d",
    "cubic_ising": "ising_3d",
    "triangular_ising": "ising_triangular",
    "mean_field_ising": "curie_weiss",
    "ising_mean_field": "curie_weiss",
    "ising_honeycomb": None,
    "ising_hexagonal": None,
    "ising_kagome": None,
    "ising_4d": None,
    "potts_3d": None,
    "rfim": "random_field_ising_3d",
    "rfim_3d": "random_field_ising_3d",
    "sherrington_kirkpatrick": "sk",
    "rem": None,
    # machines
    "gaussian_rbm": "rbm_gaussian_visible",
    "rbm_gaussian": "rbm_gaussian_visible",
    "gaussian_bernoulli_rbm": "rbm_gaussian_visible",
    "grbm": "rbm_gaussian_visible",
    "restricted_boltzmann_machine": "rbm",
    "binary_rbm": "rbm",
    "bernoulli_rbm": "rbm",
    "bernoulli_bernoulli_rbm": "rbm",
    "harmonium": "rbm",
    "fully_visible_boltzmann_machine": "boltzmann_machine",
    "amari_hopfield": "hopfield",
    "gmm": "gaussian_mixture",
    "mixture_of_gaussians": "gaussian_mixture",
    "dbn": None,
    "deep_belief_network": None,
}
"""Other words of the field for names that are written here; None where nothing here is meant, though
something is spelled alike. Case, separators and a last word "model" do not count."""


class PhysebmError(Exception):
    """Base of all errors with a message for the user; `exit_status` is what the CLI returns."""

    exit_status = 1


class InputError(PhysebmError):
    """Something the user wrote is wrong.

    Parameters
    ----------
    where
        File and key path, e.g. ``models.toml: rbm.terms[0].couple[1]``.
    got
        What stands there, shown as given; None when nothing stands there.
    expected
        What is legal, as a phrase or a list of legal names.
    hint
        What to do about it, or the reason in the physics.
    """

    exit_status = 2

    def __init__(
        self,
        where: str,
        *,
        got: object = None,
        expected: str | Iterable[str] | None = None,
        hint: str | None = None,
    ):
        self.where, self.got, self.expected, self.hint = where, got, expected, hint
        lines = [where]
        if got is not None:
            lines.append(f"  got       {_shown(got)}")
        if isinstance(expected, str):
            lines.append(f"  expected  {expected}")
        elif expected is not None:
            names = [str(name) for name in expected]
            text = ", ".join(names) if names else "(none)"
            near = nearest(str(got), names)
            if near and len(text) > LONG:
                text = f"did you mean {near}?   One of: {text}"
            elif near:
                text += f"   (did you mean {near}?)"
            lines.append(f"  expected  {text}")
        if hint:
            lines.append(f"  hint      {hint}")
        super().__init__("\n".join(lines))

    def __reduce__(self):
        """Pickle by the named parts, so that worker processes can raise it."""
        return _rebuild, (type(self), self.where, self.got, self.expected, self.hint)


class ModelFileError(InputError):
    """models.toml or an inline model is wrong."""


class StudyFileError(InputError):
    """A study file or a ``--set`` is wrong."""


class LoweringError(InputError):
    """The requested update cannot sample this Hamiltonian; the hint gives the physics."""


class ResultFileError(InputError):
    """A result or checkpoint file cannot be used as asked."""


class BackendError(PhysebmError):
    """A backend is missing or could not compile a plan; the message says what to install."""


class StudyError(PhysebmError):
    """A study that was well declared failed while running."""


def nearest(name: str, legal: Iterable[str]) -> str | None:
    """The legal name that `name` most likely means, or None when nothing is close.

    In this order: equal but for case and separators; another word of the field (`SYNONYMS`); a slip of
    a letter; an abbreviation of all parts between underscores (``ea_3d``, ``dbm``); some letters off; a
    piece (``spin_glass``); an abbreviation of the first parts. Of several pieces or abbreviations the
    shortest name is meant.
    """
    legal = list(legal)
    parts, plain = _parts(name), _letters(name)
    for word in (parts, parts[:-1] if parts[-1:] == ["model"] else parts):
        same = [other for other in legal if word and _parts(other) == word]
        if same or "".join(word) in _MEANT:
            meant = same[0] if same else _MEANT["".join(word)]
            if meant is None or meant in legal:
                return meant
    by_length = sorted(legal, key=len)
    ways = (
        lambda: difflib.get_close_matches(name, legal, n=1, cutoff=0.85),
        lambda: [o for o in by_length if _abbreviates(plain, _parts(o), whole=True)],
        lambda: difflib.get_close_matches(name, legal, n=1, cutoff=0.6),
        lambda: [o for o in by_length if len(plain) > 2 and plain in _letters(o)],
        lambda: [o for o in by_length if _abbreviates(plain, _parts(o), whole=False)],
    )
    return next((found[0] for way in ways if (found := way())), None)


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[\W_]+", name.lower()) if part]


def _letters(name: str) -> str:
    return "".join(_parts(name))


_MEANT = {_letters(word): meant for word, meant in SYNONYMS.items()}


def _abbreviates(short: str, parts: list[str], whole: bool) -> bool:
    """Whether `short` is a beginning of each of the parts, of two at least, one behind the other.

    `whole`: of all parts; else those behind the last letter of `short` may be missing.
    """

    def rest(at: int, part: int) -> bool:
        if at == len(short):
            return part > 1 and (part == len(parts) or not whole)
        if part == len(parts):
            return False
        starts = (n for n in range(1, len(parts[part]) + 1) if short.startswith(parts[part][:n], at))
        return any(rest(at + n, part + 1) for n in starts)

    return rest(0, 0)


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 200 else text[:197] + "..."


def _rebuild(kind, where, got, expected, hint):
    return kind(where, got=got, expected=expected, hint=hint)
