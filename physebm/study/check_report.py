"""A check report as text: a verdict a person can act on, and the table behind it."""

from __future__ import annotations

from math import sqrt

from physebm.study.check import CheckReport
from physebm.study.check_kernels import LANES, CheckRow


def format_report(report: CheckReport) -> str:
    """The report as plain text; failed rows are listed first, one line per method otherwise."""
    small = ", ".join(f"{name} = {value}" for name, value in report.small)
    verdict = "PASSED" if report.passed else "FAILED"
    failed = [row for row in report.rows if not row.passed]
    lines = [
        f"{report.model}: {verdict}   ({small}; {report.units} units, {report.states} discrete states; "
        f"{report.backend} kernels)"
    ]
    for row in failed:
        lines.append(f"  FAILED  {_line(row)}")
    for method in dict.fromkeys(row.method for row in report.rows):
        rows = [row for row in report.rows if row.method == method]
        lines.append(f"  {method:<14} {_summary(rows)}")
    for method, reason in report.refused:
        lines.append(f"  {method:<14} not for the small instance: {reason.splitlines()[0]}")
    lines.append(
        f"  {len(report.rows)} tests; a correct model fails with probability below {report.alpha:g}"
    )
    if 0 < report.chains < LANES["numba"]:
        larger = sqrt(LANES["numba"] / report.chains)
        lines.append(
            f"  {report.chains} chains, where --backend numba has {LANES['numba']}: a mistake of the "
            f"distribution is seen from {larger:.2g} times that size on"
        )
    if not any(row.what.startswith("stationary") for row in report.rows):
        lines.append("  too many states to draw exact samples: stationarity was not tested, only means")
    if failed:
        lines.append(f"  {_advice(failed)}")
    return "\n".join(lines)


def _summary(rows: list[CheckRow]) -> str:
    temperatures = sorted({row.temperature for row in rows if row.temperature is not None})
    shown = ", ".join(f"{temperature:g}" for temperature in temperatures)
    parts = [f"{sum(row.passed for row in rows)}/{len(rows)} passed" + f" at T = {shown}" * bool(shown)]
    parts += [f"energies to {row.statistic:.0e}" for row in rows if row.what == "energies"]
    drawn = [row for row in rows if row.p_value is not None]
    if drawn:
        worst = min(drawn, key=lambda row: row.p_value)
        parts.append(f"smallest p {worst.p_value:.2g} ({worst.what})")
    return "; ".join(parts)


def _line(row: CheckRow) -> str:
    at = "" if row.temperature is None else f" at T = {row.temperature:g}"
    p = "" if row.p_value is None else f", p = {row.p_value:.1e}"
    note = f" ({row.note})" if row.note else ""
    return f"{row.method}{at}: {row.what}, statistic {row.statistic:.4g}{p}{note}"


def _advice(failed: list[CheckRow]) -> str:
    what = {row.what.split(",")[0] for row in failed}
    if "energies" in what:
        return "the kernels compute another energy than the definition: do not trust samples"
    if "reference" in what:
        return "the compiled kernels differ from the reference: try --backend reference"
    if "stationary" in what:
        return "the update does not keep the Boltzmann distribution: do not trust samples"
    return "chains keep the distribution but did not forget their start: frozen, or very slow"
