# %% [markdown]
"""Learning the patterns of a Hopfield network from its states, in both phases.

Claim: maximum likelihood finds the space of the patterns and the strength of the couplings as well as
the noise of the samples allows, below the transition and above. Principal components find the space as
well; the strength only where the network is paramagnetic.

A rotation of the P patterns among each other changes no state's probability. Compared are therefore
spaces, through the angles theta_a between span(xi) and span(xi*), and couplings J = xi^T xi / N:

    q     = (1/P) sum_a cos^2 theta_a,    P / N for a guess
    gamma = |J - beta J*| / |beta J*|     off the diagonal, J* that of the teacher

Theory. The Gaussian form makes everything about one model an integral over P = 3 numbers,
p(s) = (1/Z) integral N(z; 0, 1) prod_i exp(x_i s_i), x = z xi / sqrt N. The trapezoidal rule does it to
exp(-2 pi^2 / step^2) = 1e-13, so that samples and covariances are exact, whatever the phase.

    Cramer-Rao           <gamma^2> and 1 - <q> to leading order in 1 / M from the Fisher information of
                         xi, pseudo-inverted: rotations are its P (P - 1) / 2 zero modes
    PCA                  e_a the P leading principal components of M samples, J = sum_a (1 - 1/lambda_a)
                         e_a e_a^T (S. Cocco, R. Monasson, V. Sessak, Phys. Rev. E 83, 051123 (2011)),
                         mean over 10 sets of exact samples
    BBP                  overlap of e_a with its pattern at large N, cos^2 = (1 - r / l^2) / (1 + r / l),
                         zero for l^2 < r = N / M; 1 + l the true variance along it over that of the other
                         directions (J. Baik, G. Ben Arous, S. Peche, Ann. Probab. 33, 1643 (2005);
                         D. Paul, Stat. Sinica 17, 1617 (2007))

Study: studies/hopfield_learning.toml
"""

# %%
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from physebm import plots

ROOT = Path(__file__).resolve().parent.parent
FIGURES = Path(__file__).parent / "figures"
tree = xr.open_datatree(ROOT / "results" / "hopfield_learning.nc")
learned, training = tree["arrays"]["xi"], tree["training"].to_dataset()
patterns = tree["teacher"]["xi"].isel(data_temperature=0, samples=0).values.astype(float)
temperatures, counts = learned["data_temperature"].values, learned["samples"].values
P, N = patterns.shape
rng = np.random.default_rng(1)


# %% One model, exactly; W = xi / sqrt N, [pattern, unit], at beta = 1
def hidden(W, step=0.8, end=20.0):
    """A grid of z with its weights, and log Z."""
    axis = np.arange(-end, end + step / 2, step)
    z = np.stack(np.meshgrid(*[axis] * P, indexing="ij"), axis=-1).reshape(-1, P)
    log_weight = -(z**2).sum(axis=1) / 2
    for start in range(0, len(z), 2**14):
        x = z[start : start + 2**14] @ W
        log_weight[start : start + 2**14] += np.logaddexp(x, -x).sum(axis=1)
    top = log_weight.max()
    weight = np.exp(log_weight - top)
    log_z = top + np.log(weight.sum()) + P * np.log(step / np.sqrt(2 * np.pi))
    kept = weight > 1e-13
    return z[kept], weight[kept] / weight[kept].sum(), log_z


truth = {T: patterns / np.sqrt(N * T) for T in temperatures}
grid = {T: hidden(truth[T]) for T in temperatures}


def exact_samples(T, count):
    z, weight, _ = grid[T]
    W = truth[T]
    chance = (1 + np.tanh(z[rng.choice(len(z), count, p=weight)] @ W)) / 2
    return np.where(rng.random(chance.shape) < chance, 1.0, -1.0)


def exact_covariance(T):
    z, weight, _ = grid[T]
    means = np.tanh(z @ truth[T])
    C = (weight[:, None] * means).T @ means
    np.fill_diagonal(C, 1.0)
    return C


def log_likelihood(W, s):
    return ((s @ W.T) ** 2).sum(axis=1).mean() / 2 - hidden(W)[2]


# %% Comparing two sets of patterns
def space_overlap(W, other):
    a, b = (np.linalg.qr(each.T)[0] for each in (W, other))
    return np.mean(np.linalg.svd(a.T @ b, compute_uv=False) ** 2)


def couplings(W):
    J = W.T @ W
    np.fill_diagonal(J, 0.0)
    return J


def error(W, other):
    return np.linalg.norm(couplings(W) - couplings(other)) / np.linalg.norm(couplings(other))


def strengths(W):
    return np.sort(np.linalg.eigvalsh(W @ W.T))[::-1]


def principal(s):
    """The spectral estimate of W; components below unit variance have no coupling."""
    values, vectors = np.linalg.eigh(s.T @ s / len(s))
    values, vectors = values[-P:], vectors[:, -P:]
    return np.sqrt(np.maximum(1 - 1 / values, 0.0))[:, None] * vectors.T


def cramer_rao(T, count=40_000):
    """M times <gamma^2>, and M times 1 - <q>, of an efficient estimate at large M."""
    W, s = truth[T], exact_samples(T, count)
    score = ((s @ W.T)[:, :, None] * s[:, None, :]).reshape(count, -1)
    values, vectors = np.linalg.eigh(np.cov(score.T))
    free = P * (P - 1) // 2
    # A sample covariance in D dimensions has an inverse that is too large by 1 / (1 - D / count).
    shrink = 1 - P * N / count
    V = shrink * (vectors[:, free:] / values[free:]) @ vectors[:, free:].T
    pairs = np.triu_indices(N, 1)
    slope = np.zeros((len(pairs[0]), P, N))
    for i, j in (pairs, pairs[::-1]):
        slope[np.arange(len(i)), :, i] += W[:, j].T
    slope = slope.reshape(len(slope), -1)
    of_couplings = np.einsum("ka,ab,kb->", slope, V, slope) / np.sum(couplings(W)[pairs] ** 2)
    basis = np.linalg.qr(W.T)[0]
    outside = np.kron(np.linalg.inv(W @ W.T), np.eye(N) - basis @ basis.T)
    return of_couplings, np.trace(outside @ V) / P


def bbp(values, M):
    spike = values[-P:] / values[:-P].mean() - 1
    return np.mean(np.maximum(1 - N / M / spike**2, 0.0) / (1 + N / M / spike))


# %% What was learned, and what could be
found = {
    (T, M): learned.sel(data_temperature=T, samples=M).isel(update=-1).values / np.sqrt(N)
    for T in temperatures
    for M in counts
}
along = np.unique(np.geomspace(30, 20_000, 12).astype(int))
floor = {T: cramer_rao(T) for T in temperatures}
sets = {
    (T, M): [principal(exact_samples(T, M)) for _ in range(10)]
    for T in temperatures
    for M in np.unique([*along, *counts])
}
for T in temperatures:
    W, s = truth[T], exact_samples(T, 20_000)
    visits = np.bincount(np.abs(s @ patterns.T).argmax(axis=1), minlength=P) / len(s)
    spikes = np.linalg.eigvalsh(exact_covariance(T))[-P:][::-1]
    print(f"T = {T}: states nearest to each pattern {np.round(visits, 2)}, spikes {np.round(spikes, 2)}")
    print(f"  strengths beta J*: {np.round(strengths(W), 3)}, log-likelihood of the teacher", end=" ")
    print(f"{log_likelihood(W, s):.3f} (per state, {len(s)} fresh ones)")
    for M in counts:
        Y, run = found[T, M], training.sel(data_temperature=T, samples=M).isel(update=-1)
        before = learned.sel(data_temperature=T, samples=M).isel(update=-2).values / np.sqrt(N)
        pca = [(error(V, W), space_overlap(V, W)) for V in sets[T, M]]
        verdict = training["chain_verdict"].attrs["flag_meanings"].split()[int(run["chain_verdict"])]
        print(f"  M = {M}: gamma {error(Y, W):.3f} (bound {np.sqrt(floor[T][0] / M):.3f}, PCA", end=" ")
        print(f"{np.mean(pca, axis=0)[0]:.3f}), 1 - q {1 - space_overlap(Y, W):.4f} (bound", end=" ")
        print(f"{floor[T][1] / M:.4f}, PCA {1 - np.mean(pca, axis=0)[1]:.4f}), strengths", end=" ")
        print(f"{np.round(strengths(Y), 3)}, fresh states {log_likelihood(Y, s):.3f}", end="; ")
        print(f"gamma at half the updates {error(before, W):.3f}, {verdict}, lag {run['chain_lag']:.3f}")

# %% The figure
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.9), layout="constrained")
    left, middle, right = fig.subplots(1, 3)
    for number, T in enumerate(temperatures):
        W, colour, marker = truth[T], plots.COLOURS[number], plots.MARKERS[number]
        style = {"color": colour, "marker": marker, "linestyle": "", "zorder": 3}
        thin = {"color": colour, "linewidth": 0.9}
        label = f"$T$ = {T}"
        left.plot(counts / N, [space_overlap(found[T, M], W) for M in counts], label=label, **style)
        middle.plot(counts / N, [error(found[T, M], W) for M in counts], **style)
        left.plot(along / N, [np.mean([space_overlap(V, W) for V in sets[T, M]]) for M in along], **thin)
        middle.plot(along / N, [np.mean([error(V, W) for V in sets[T, M]]) for M in along], **thin)
        middle.plot(along / N, np.sqrt(floor[T][0] / along), linestyle="--", **thin)
        if T > 1:
            fine, values = np.geomspace(along[0], along[-1], 200), np.linalg.eigvalsh(exact_covariance(T))
            left.plot(fine / N, [bbp(values, M) for M in fine], linestyle=":", **thin)
        many = counts[-1]
        spectral = np.mean([strengths(V) for V in sets[T, many]], axis=0)
        right.plot(strengths(W), strengths(found[T, many]), **style)
        right.plot(strengths(W), spectral, fillstyle="none", **style)
    left.axhline(P / N, color="0.6", linewidth=0.7)
    left.set(xscale="log", xlabel="samples per unit $M / N$", ylabel="overlap $q$ of the spaces")
    middle.set(xscale="log", yscale="log", xlabel="samples per unit $M / N$")
    middle.set(ylabel=r"error $\gamma$ of the couplings", ylim=(0.03, 3))
    ends = (0.3, 1.8)
    right.plot(ends, ends, color="0.6", linewidth=0.7)
    right.set(xlabel=r"true strengths (eigenvalues of $\beta J^*$)", ylabel="learned strengths")
    right.set_title(f"$M$ = {counts[-1]}; open: PCA")
    middle.plot([], [], color="0.3", linewidth=0.9, label="PCA of as many samples")
    middle.plot([], [], color="0.3", linewidth=0.9, linestyle="--", label="Cramér–Rao")
    middle.plot([], [], color="0.3", linewidth=0.9, linestyle=":", label="BBP")
    handles, labels = left.get_legend_handles_labels()
    more, words = middle.get_legend_handles_labels()
    fig.legend(handles + more, labels + words, loc="outside upper center", ncols=6, columnspacing=1.2)
    plots.save(fig, FIGURES / "hopfield_learning.png", dpi=200)
