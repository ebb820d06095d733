"""Energies and entropies at the target of an annealed run, with the errors that they share with log Z.

An annealed run ends in a weighted sample: *parts* of it (chains, or blocks of families) are independent
of each other. With g_p the share of part p in all weight and a_p its share in the average of an energy,

    <E> = sum_p a_p,    influence of p on <E>:  a_p - g_p <E>,    on log Z:  g_p - 1/n,

and errors are those of sums over parts (the delta method for ratios). Energy and entropy of a model at
inverse temperature beta,

    <du/dbeta> = sum_t (dc_t/dbeta) <E_t> + normalisers,    S = log Z + beta <du/dbeta>,

are linear in both, and so are their influences: the part that both have in common, weights that are
large where energies are low, is in the error of S. Both are averages of the model at the end of the
path, however the path came there: thermal, scaled and from data alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physebm.model.energy import energy_derivatives
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients


@dataclass(frozen=True)
class Thermal:
    """``<du/dbeta>`` and S of one model in all, in nats and units of energy, with standard errors."""

    energy: float
    energy_stderr: float
    entropy: float
    entropy_stderr: float


@dataclass(frozen=True)
class Averages:
    """Term energies of a weighted sample of a model.

    Attributes
    ----------
    log_z
        The run's log Z.
    energies
        ``<E_t> [term]``; terms of the path, which may have more than the model. NaN where the sample
        has less than two effective parts.
    of_log_z, of_energies
        Influences ``[part]`` and ``[part, term]``; squares of their sums over errors are variances.
    """

    log_z: float
    energies: np.ndarray
    of_log_z: np.ndarray
    of_energies: np.ndarray

    def thermal(self, hamiltonian: Hamiltonian, row: Coefficients) -> Thermal:
        """Energy and entropy of the model at `row`, with its derivatives by beta: the path's last."""
        terms = len(hamiltonian.terms)
        mean, _ = energy_derivatives(hamiltonian, row, self.energies[None, :terms], np.zeros(1, int))
        energy, beta = float(mean[0]), float(row.beta[0])
        of_energy = self.of_energies[:, :terms] @ row.first[0]
        return Thermal(
            energy,
            float(np.sqrt(np.sum(of_energy**2))),
            self.log_z + beta * energy,
            float(np.sqrt(np.sum((self.of_log_z + beta * of_energy) ** 2))),
        )


def of_chains(log_z: float, log_w: np.ndarray, energies: np.ndarray) -> Averages:
    """Of independent chains with log-weights ``[chain]`` and term energies ``[chain, term]``."""
    n = len(log_w)
    share = np.exp(log_w - np.max(log_w))
    share /= share.sum()
    if 1.0 / np.sum(share**2) < 2.0:
        return _unknown(log_z, energies.shape[1])
    mean = share @ energies
    scale = np.sqrt(n / (n - 1.0))
    return Averages(log_z, mean, scale * (share - 1.0 / n), scale * share[:, None] * (energies - mean))


def of_runs(
    log_z: float,
    run_log_z: np.ndarray,
    energies: np.ndarray,
    family: np.ndarray,
    blocks: int,
    scattered: bool,
) -> Averages:
    """Of independent populations, averaged with their Z as weights.

    Parts are blocks of neighbouring families, as for the error of log Z; where the runs scatter by more
    than those allow, the runs.

    Parameters
    ----------
    run_log_z, energies, family
        ``[run]``, term energies ``[run, walker, term]``, and origins ``[run, walker]``.
    """
    runs, R, terms = energies.shape
    omega = np.exp(run_log_z - np.max(run_log_z))
    omega /= omega.sum()
    of_run = energies.mean(axis=1)
    mean = omega @ of_run
    off = of_run - mean
    if scattered:
        scale = np.sqrt(runs / (runs - 1.0))
        return Averages(log_z, mean, scale * (omega - 1.0 / runs), scale * omega[:, None] * off)
    blocks = min(blocks, R)
    edges = np.linspace(0, R, blocks + 1).astype(int)
    block = np.searchsorted(edges, family, side="right") - 1
    excess = np.stack([np.bincount(each, minlength=blocks) for each in block]) / R
    if 1.0 / np.sum((omega[:, None] * excess) ** 2) < 2.0:
        return _unknown(log_z, terms)
    excess -= np.diff(edges) / R
    sums = np.zeros((runs, blocks, terms))
    np.add.at(sums, (np.arange(runs)[:, None], block), energies - of_run[:, None])
    scale = omega * np.sqrt(blocks / (blocks - 1.0))
    of_energies = scale[:, None, None] * (sums / R + off[:, None] * excess[:, :, None])
    of_log_z = scale[:, None] * excess
    parts = runs * blocks
    return Averages(log_z, mean, of_log_z.reshape(parts), of_energies.reshape(parts, terms))


def _unknown(log_z: float, terms: int) -> Averages:
    nothing = np.full(terms, np.nan)
    return Averages(log_z, nothing, np.full(1, np.nan), nothing[None])
