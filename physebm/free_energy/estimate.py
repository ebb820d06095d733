"""What every way to log Z gives back: a value, its error, an independent bracket, and a verdict.

A standard error tells how a number scatters, not whether it is right: an estimator that never saw the
states that matter has a small one. So each comes with a *bracket*, which another argument gives (the
reverse direction, a bound, the other estimator of the same samples), and with a *verdict* from
diagnostics that can fail. A verdict's reasons are sentences for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Verdict(IntEnum):
    """What an estimate is worth; the worst of its diagnostics."""

    TRUSTED = 0
    SUSPECT = 1
    FAILED = 2


@dataclass(frozen=True)
class Finding:
    """One diagnostic that did not pass, and what to do about it."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Estimate:
    """log Z of one model, in nats, relative to normalised priors of continuous units.

    Attributes
    ----------
    method
        As in ``[free_energy] method``.
    log_z, stderr
        The value and one standard error: 0 for exact methods, NaN for approximations.
    low, high
        The bracket: numbers between which an independent argument puts log Z; NaN where there is none.
    verdict, reason
        `Verdict`, and why it is not better; when trusted empty, or what beside log Z is not known.
    diagnostics
        Named numbers and arrays of the method.
    """

    method: str
    log_z: float
    stderr: float
    low: float = float("nan")
    high: float = float("nan")
    verdict: Verdict = Verdict.TRUSTED
    reason: str = ""
    diagnostics: Mapping[str, object] = field(default_factory=dict)


def judged(findings: Iterable[Finding]) -> tuple[Verdict, str]:
    """The worst verdict, and all reasons as one text, the worst first."""
    ordered = sorted(findings, key=lambda each: -each.verdict)
    if not ordered:
        return Verdict.TRUSTED, ""
    return ordered[0].verdict, "; ".join(each.reason for each in ordered)
