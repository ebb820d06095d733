"""Bins -> what a task hands over: per point the direct estimates, and block means for the rest."""

from __future__ import annotations

import numpy as np

from physebm.observables import overlap
from physebm.observables.chains import honest_error, limit, mean_error
from physebm.observables.derived import DERIVED, jackknife
from physebm.observables.equilibration import Equilibration, verdict
from physebm.observables.sums import ordered_mean
from physebm.study.measure import CHANNELS, PAIR_CHANNELS, SITE_BLOCKS, Recorder

# Observables that are the plain mean of one channel.
DIRECT = {
    name: channels[0]
    for name, channels in CHANNELS.items()
    if len(channels) == 1 and name not in ("overlap_distribution", "sg_susceptibility")
}
# Observables of the run of each chain that are the mean of no channel.
OF_RUNS = ("specific_heat_within_chains", "q_edwards_anderson")
VERDICT_RATE = 1e-3
# Channels whose series are judged, and what reasons of verdicts call them; moments and squares of them
# add nothing new.
JUDGED = {
    "du_dbeta": "energy",
    "m": "magnetisation m",
    "abs_m": "|m|",
    "retrieval_overlap": "retrieval overlap",
    "max_pattern_overlap": "largest pattern overlap",
    "q1": "overlap q of two chains",
    "q2": "q^2 of two chains",
}


def task_results(recorder: Recorder, every: int) -> dict[str, np.ndarray]:
    """Arrays by name, first axis the points of the task.

    ``estimate/X``, ``stderr/X``, ``tau/X`` of the direct observables; ``blocks/C``
    ``[block, point]`` of every channel behind a derived quantity, and ``without/C`` ``[chain, point]``
    its means with one chain left out.
    """
    recorder.flush()
    subject = recorder.subject
    out: dict[str, np.ndarray] = {}
    for name in subject.record:
        if name in DIRECT:
            out |= _direct(recorder, name, every)
    for channel in subject.channels:
        if channel != "pattern_overlap":
            out[f"blocks/{channel}"] = recorder.series[channel].pooled_bins()
            without = recorder.without(channel)
            if without is not None:
                out[f"without/{channel}"] = without
    if recorder.histogram is not None:
        total = recorder.histogram.sum(axis=1, keepdims=True)
        out["estimate/overlap_distribution"] = recorder.histogram / total
    if "specific_heat_within_chains" in subject.record:
        value, error = specific_heat_within_chains(recorder)
        out["estimate/specific_heat_within_chains"] = value
        out["stderr/specific_heat_within_chains"] = error
    if recorder.sites is not None:
        value, error = edwards_anderson(recorder.sites, recorder.draws)
        out["estimate/q_edwards_anderson"], out["stderr/q_edwards_anderson"] = value, error
    return out


def final_results(recorder: Recorder) -> dict[str, np.ndarray]:
    """Zero-temperature dynamics: means over chains of the one draw at the end, error from chains.

    With a single chain there is no error: it is stored as NaN.
    """
    recorder.flush()
    out: dict[str, np.ndarray] = {}
    units = recorder.subject.hamiltonian.counted_units
    for name in recorder.subject.record:
        if name in DIRECT:
            values = np.moveaxis(recorder.series[DIRECT[name]].mean(), 1, 0)
            values = values / units if name == "energy" else values
            chains = len(values)
            out[f"estimate/{name}"] = ordered_mean(values)
            spread = values.std(axis=0, ddof=1) if chains > 1 else np.full(values.shape[1:], np.nan)
            out[f"stderr/{name}"] = spread / np.sqrt(chains)
    if recorder.histogram is not None:
        total = recorder.histogram.sum(axis=1, keepdims=True)
        out["estimate/overlap_distribution"] = recorder.histogram / total
    return out


def _direct(recorder: Recorder, name: str, every: int) -> dict[str, np.ndarray]:
    channel = DIRECT[name]
    series = recorder.series[channel]
    scale = 1.0 / recorder.subject.hamiltonian.counted_units if name == "energy" else 1.0
    found = series.tau(chain_axis=1)
    samples = series.count * series.shape[1]
    from_tau = np.sqrt(2.0 * found.tau * found.variance / samples)
    means = recorder.copies(channel)
    scatter = mean_error(means) if len(means) > 1 else None
    error = honest_error(series.stderr(chain_axis=1), from_tau, scatter, len(means))
    return {
        f"estimate/{name}": ordered_mean(np.moveaxis(series.mean(), 1, 0)) * scale,
        f"stderr/{name}": error * scale,
        f"tau/{name}": found.tau * every,
    }


def specific_heat_within_chains(recorder: Recorder) -> tuple[np.ndarray, np.ndarray]:
    """Mean over chains of the specific heat that each has about its own mean energy, ``[point]``.

    The Gibbs measure has one mean, and so has `specific_heat`; its difference from this one is the
    share of the energies' variance that lies between chains. The jackknife puts back, to first order
    in 1 / length, what the variance about a chain's own mean is short of.
    """
    formula = DERIVED["specific_heat"]
    beta = recorder.coefficients.beta[recorder.rungs][:, None]
    units = recorder.subject.hamiltonian.counted_units
    blocks = [recorder.series[channel].bins() for channel in formula.moments]
    value, error = jackknife(lambda *means: formula.formula(*means, beta, units), *blocks)
    value, error = value.T, error.T
    chains = len(value)
    scatter = mean_error(value) if chains > 1 else None
    pooled = np.sqrt((error**2).sum(axis=0)) / chains
    return ordered_mean(value), honest_error(pooled, None, scatter, chains)


def edwards_anderson(sites: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """``q_EA = (1/N) sum_i <s_i>_a <s_i>_b`` over pairs of chains, and its jackknife error.

    `sites` is ``[block, point, chain, unit]``, sums of spins over the draws of each block.
    """
    lengths = np.bincount(
        np.minimum(np.arange(draws) * SITE_BLOCKS // draws, SITE_BLOCKS - 1), minlength=SITE_BLOCKS
    )
    chains = sites.shape[2]

    def q(total: np.ndarray, count: float) -> np.ndarray:
        mean = total / count
        across = mean.sum(axis=1) ** 2 - (mean**2).sum(axis=1)
        return across.mean(axis=-1) / (chains * (chains - 1))

    total = ordered_mean(sites) * len(sites)
    value = q(total, draws)
    without = np.stack([q(total - part, draws - n) for part, n in zip(sites, lengths)])
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return value, np.sqrt((SITE_BLOCKS - 1) / SITE_BLOCKS * spread)


def equilibration(recorder: Recorder, cells: list[list[int]], temperature, start):
    """Verdict codes and messages per point, from the energy and every order parameter recorded.

    `cells` lists the points of each cell; `temperature` and `start` are per point. Every point is
    judged by its own run; points of one cell that differ in their start alone are compared too, and a
    point whose run is stationary but contradicts the other start is not equilibrated either.
    """
    channels = [c for c in JUDGED if c in recorder.series]
    compared = ["du_dbeta", *[c for c in ("retrieval_overlap", "q2", "abs_m") if c in channels][:1]]
    code = np.zeros(recorder.points, dtype=np.int8)
    message = np.full(recorder.points, "", dtype=object)
    other = _partners(cells, temperature, start)
    paired = np.flatnonzero(other >= 0)
    rate = VERDICT_RATE / len(channels) / (2 if len(paired) else 1)
    for channel in channels:
        x = np.moveaxis(recorder.series[channel].series(), 0, -1)
        own = verdict(x, rate=rate)
        found, texts = own.code.copy(), own.message.copy()
        if len(paired) and channel in compared:
            p_value = verdict(x[paired], x[other[paired]], rate=rate).p_values["starts"]
            for point, p in zip(paired[p_value < rate], p_value[p_value < rate]):
                found[point] = Equilibration.NOT_EQUILIBRATED
                reason = f"the two starts disagree, p = {p:.2g}"
                texts[point] = f"{reason}; {texts[point]}" if texts[point] else reason
        means = recorder.copies(channel)
        if channel in PAIR_CHANNELS and len(means) > 1:
            blocks = recorder.series[channel].stderr(chain_axis=1)
            for point in np.flatnonzero(mean_error(means) > limit(len(means)) * blocks):
                found[point] = Equilibration.NOT_EQUILIBRATED
                texts[point] = "pairs of chains disagree" + (
                    f"; {texts[point]}" if texts[point] else ""
                )
        texts = np.array([f"{JUDGED[channel]}: {text}" for text in texts], dtype=object)
        message = np.where(found > code, texts, message)
        code = np.maximum(code, found)
    return code, message


def _partners(cells: list[list[int]], temperature, start) -> np.ndarray:
    """For each point the next one of its cell with the same temperature and another start, or -1."""
    other = np.full(len(temperature), -1)
    for cell in cells:
        by_temperature: dict[float, list[int]] = {}
        for p in cell:
            by_temperature.setdefault(temperature[p], []).append(p)
        for points in by_temperature.values():
            if len({start[p] for p in points}) > 1:
                for a, b in zip(points, points[1:] + points[:1]):
                    other[a] = b
    return other


def histogram_values(recorder: Recorder) -> np.ndarray:
    """The exact values of the overlap on which `overlap_distribution` is counted."""
    group = recorder.subject.hamiltonian.counted[0]
    return overlap.overlap_values(group.size, group.prior.q or 2)
