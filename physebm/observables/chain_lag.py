"""Do persistent chains follow the model while it learns? How far behind they are, and a verdict.

Update t turns p_t into p_{t+1}; then every chain makes k sweeps at p_{t+1}. Write the distribution of
the chains as ``p_t (1 + g)``. To first order an update adds to g the change ``u_{t+1} - u_t`` of the
potential, less its mean; a sweep multiplies the part of g in each eigenmode by its eigenvalue lambda.
A drift of constant direction and size ``s^2 = Var(u_{t+1} - u_t)`` therefore ends at

    ``lag = sqrt(<g^2>) = s M / (1 - M)``,  ``M = lambda^k`` (memory of the chains per update)

in the slowest mode, and at less in every other: about ``s tau / k`` for tau >> k. Both inputs are
measured: ``lambda = (2 tau - 1)/(2 tau + 1)`` is exact for an exponential autocorrelation, and
``s^2 = -log(ESS fraction)`` of the weights ``exp(-(u_{t+1} - u_t))`` over chains (the Renyi divergence
of order 2, ``log(1 + chi^2(p_{t+1} || p_t))``) equals the variance for Gaussian log-weights. For a
Gaussian target of constant width, moved at constant speed and followed by an AR(1) chain, `lag` is the
exact distance of the chains' mean from the target's in standard deviations, for any speed.

What it means: by the Cauchy-Schwarz inequality no average over the chains is off by more than `lag`
standard deviations of its observable. Thresholds:

0.1
    below it the bias of every average is below the statistical error of 100 independent chains, and
    reweighting chains to the model would keep 99 % of them: `EQUILIBRATED`.
1
    above it averages may be off by a whole standard deviation, reweighting would keep less than
    ``exp(-1)`` of the chains, and the expansion ends: `OUT_OF_EQUILIBRIUM`. Between: `LAGGING`.

Limits. Minibatch noise does not add up like a drift: a random walk of the same s ends at only
``s M / sqrt(1 - M^2)``, so with one update's s the lag of a noisy training is overestimated, by
``sqrt((1 + M)/(1 - M))``. Measure the log-weights over m updates, m about ``1/(1 - M)``, and pass
``updates=m``: what averages out is then not counted. tau must be that of the slowest observable; modes
that no recorded observable sees, and valleys that no chain left, are not judged. Sweeps in a fixed
order are not reversible: eigenvalues are then a model. ``-log`` of an ESS fraction measured over C
chains cannot exceed log C. `frozen_shift` needs none of this: it measures the lag of given observables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from physebm.arrays import Array, Float64
from physebm.observables.correlation import IntegratedTime, integrated_time
from physebm.observables.sums import ordered_mean

SMALL_LAG = 0.1
LARGE_LAG = 1.0
SIGNIFICANT = 4.0  # standard errors by which a measured shift must exceed a threshold


class Following(IntEnum):
    """Whether persistent chains follow the model that is being learnt."""

    EQUILIBRATED = 0
    LAGGING = 1
    OUT_OF_EQUILIBRIUM = 2


@dataclass(frozen=True)
class ChainLag:
    """The verdict and the numbers it rests on; arrays over the recorded ages.

    Attributes
    ----------
    code
        Values of `Following`, int8.
    message
        One sentence per age (object array of str).
    lag
        Distance of the chains from the model, in standard deviations of the worst observable.
    memory
        M, the part of a deviation that is left after the sweeps of one update.
    divergence
        ``s^2`` per update, from the ESS fraction.
    """

    code: Array
    message: Array
    lag: Float64
    memory: Float64
    divergence: Float64


class Shift(NamedTuple):
    """Mean of the chains as training left them, less that after relaxation; in standard deviations."""

    value: Float64
    stderr: Float64


def training_tau(x_uc: Array) -> IntegratedTime:
    """Integrated time, in updates, of observables ``[..., update, chain]`` recorded while training.

    The mean over chains is taken out at every update, and with it the motion of the model: what is left
    of each chain decorrelates by sweeps alone. Use a stretch over which the model changes little, and
    ``chain_lag(tau, 1, ...)``: an update is then the unit of time. In sweeps it is k tau for tau >> 1;
    tau = 1/2 says only that k sweeps suffice.

    Raises
    ------
    ValueError
        With fewer than two chains.
    """
    x = np.asarray(x_uc, dtype=np.float64)
    if x.ndim < 2 or x.shape[-1] < 2:
        raise ValueError(f"series [..., update, chain >= 2] needed, got shape {x.shape}")
    x = x - x[..., :1]  # exactly zero where chains agree, as the mean need not be
    return integrated_time(np.swapaxes(x - ordered_mean(x, -1)[..., None], -1, -2))


def frozen_shift(x_cd: Array) -> Shift:
    """The lag of observables, measured: ``[..., chain, draw]`` at frozen parameters.

    Draw 0 is the state in which training left the chains, the second half of the run stands for the
    model. ``value = <x_0 - mean over the second half> / sd of the second half``, its error from the
    scatter of chains. The run must be several tau long: what has not relaxed is not seen. NaN where
    nothing moves.

    Raises
    ------
    ValueError
        With fewer than two chains or four draws.
    """
    x = np.asarray(x_cd, dtype=np.float64)
    if x.ndim < 2 or x.shape[-2] < 2 or x.shape[-1] < 4:
        raise ValueError(f"series [..., chain >= 2, draw >= 4] needed, got shape {x.shape}")
    late = x[..., x.shape[-1] // 2 :]
    late = late - x[..., :1, :1]
    first = x[..., 0] - x[..., :1, 0]
    difference = first - late.mean(axis=-1)
    sd = late.std(axis=(-2, -1))
    error = difference.std(axis=-1, ddof=1) / np.sqrt(x.shape[-2])
    undefined = np.full(np.shape(sd), np.nan)
    return Shift(
        np.divide(difference.mean(axis=-1), sd, out=undefined.copy(), where=sd > 0),
        np.divide(error, sd, out=undefined, where=sd > 0),
    )


def chain_lag(
    tau: Array | float,
    sweeps: Array | float,
    ess_fraction: Array | float,
    *,
    updates: Array | float = 1,
    reliable: Array | bool = True,
    shift: Shift | None = None,
) -> ChainLag:
    """How far persistent chains are behind the model, and the verdict; broadcasts over ages.

    Parameters
    ----------
    tau
        Integrated autocorrelation time in sweeps of the slowest recorded observable, by running the
        chains at frozen parameters. NaN (nothing moved), here or in the next, is never called
        equilibrated.
    sweeps
        k, sweeps between updates. (1 with a tau in updates, as of `training_tau`.)
    ess_fraction
        Effective sample size over number of chains of the weights ``exp(-(u_new - u_old))``, in (0, 1].
    updates
        Number m of updates between u_old and u_new.
    reliable
        Whether tau is more than a lower bound (`IntegratedTime.reliable`); if not, chains are never
        called equilibrated.
    shift
        Measured lags ``[..., observable]`` of `frozen_shift`; one that exceeds a threshold by four
        standard errors counts as a lag above it.

    Raises
    ------
    ValueError
        ESS fractions outside (0, 1], negative tau, fewer than one sweep or update.
    """
    names = ("tau", "sweeps", "ess_fraction", "updates")
    given = [np.asarray(v, dtype=np.float64) for v in (tau, sweeps, ess_fraction, updates)]
    tau, sweeps, ess, updates = given
    wrong = (tau < 0, ~(sweeps >= 1), (ess <= 0) | (ess > 1 + 1e-9), ~(updates >= 1))
    for name, value, bad in zip(names, given, wrong):
        if bad.any():
            raise ValueError(f"{name} = {value[bad].flat[0]} is not possible")
    divergence = -np.log(np.minimum(ess, 1.0)) / updates**2  # equal weights may count n (1 + 1e-16)
    # rate = -log lambda: tau <= 1/2 has no memory, tau = inf never forgets.
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        rate = sweeps * np.log1p(2.0 / np.maximum(2.0 * tau - 1.0, 0.0))
        lag = np.sqrt(divergence) / np.expm1(rate)
    lag, divergence, reliable = np.broadcast_arrays(lag, divergence, np.asarray(reliable, dtype=bool))
    seen = np.zeros(lag.shape)
    if shift is not None:
        sure = np.abs(shift.value) - SIGNIFICANT * np.asarray(shift.stderr)
        seen = np.broadcast_to(np.nan_to_num(sure, nan=0.0).max(axis=-1), lag.shape)
    worst = np.fmax(lag, seen)
    unknown = np.isnan(lag) | ~reliable
    code = np.zeros(lag.shape, dtype=np.int8)
    code[(worst > SMALL_LAG) | unknown] = Following.LAGGING
    code[worst > LARGE_LAG] = Following.OUT_OF_EQUILIBRIUM
    message = np.empty(lag.shape, dtype=object)
    for age in np.ndindex(lag.shape):
        message[age] = _sentence(code[age], lag[age], seen[age], reliable[age])
    return ChainLag(code, message, lag, np.exp(-np.broadcast_to(rate, lag.shape)), divergence)


_OPENING = {
    Following.EQUILIBRATED: "the chains follow the model",
    Following.LAGGING: "the chains lag behind the model",
    Following.OUT_OF_EQUILIBRIUM: "the chains do not follow the model",
}


def _sentence(code: int, lag: float, seen: float, reliable: bool) -> str:
    opening, parts = _OPENING[Following(code)], []
    if code == Following.LAGGING and not max(np.nan_to_num(lag), seen) > SMALL_LAG:
        opening = "the chains are not shown to follow the model"
    if np.isnan(lag):
        parts.append("no autocorrelation time, or no weights")
    elif reliable:
        parts.append(f"averages off by up to {lag:.2g} standard deviations")
    if seen > max(SMALL_LAG, np.nan_to_num(lag)):
        parts.append(f"they move by more than {seen:.2g} standard deviations when training stops")
    if not reliable:
        parts.append(
            "of their autocorrelation time only a lower bound is known (the frozen run is too short), "
            "and so averages may be off by any amount"
        )
    return "; ".join([opening, *parts])
