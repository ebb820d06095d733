# %% [markdown]
"""Learning the patterns of a Hopfield network from its states, in both phases.

Claim: maximum likelihood finds the space of the patterns and the strength of the couplings as well as
the noise of the samples allows, below the transition and above. Principal components are as good where
the network is paramagnetic. Below, their space is good because patterns are +-1, and their couplings
are wrong for any number of samples.

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
                         e_a e_a^T (S. Cocco, R. Monasson, V. Sessak, Phys. Rev. E 83, 051123 (2011));
                         of the samples that were learned from, and the mean over 10 other sets
    PCA, large N         cos^2 = (1 - r / l^2) / (1 + r / l) of e_a and its pattern, 0 for l^2 < r; with
                         r = N / M and 1 + l the true variance along the pattern over that of the other
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
from physebm.schema.model_file import read_models
from physebm.study.figures import Drawn
from physebm.study.training_data import training_data

ROOT = Path(__file__).resolve().parent.parent
FIGURES = Path(__file__).parent / "figures"
RESULT = ROOT / "results" / "hopfield_learning.nc"
tree, drawn = xr.open_datatree(RESULT), Drawn(RESULT)
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


# %% The samples that were learned from: the seed makes them again
def learned_from(T, M):
    study, student = drawn.study, drawn.model({})
    data = training_data(
        study.train_at({"data_temperature": T, "samples": M}).data,
        student.hamiltonian,
        student.params(study.seed, 0),
        seed=study.seed,
        realisation=0,
        directory=str(ROOT),
        models=read_models(ROOT / "models.toml"),
        backend="auto",
        where="train.data",
    )
    return data.parts["train"][0]["s"].astype(float)


# %% What was learned, and what could be
found, spectral, train = {}, {}, {}
for T in temperatures:
    for M in counts:
        s = train[T, M] = learned_from(T, int(M))
        found[T, M] = learned.sel(data_temperature=T, samples=M).isel(update=-1).values / np.sqrt(N)
        spectral[T, M] = principal(s)
along = np.unique(np.geomspace(30, 20_000, 12).astype(int))
floor = {T: cramer_rao(T) for T in temperatures}
sets = {
    (T, M): [principal(exact_samples(T, M)) for _ in range(10)] for T in temperatures for M in along
}


def lost(W, other):
    return 1 - space_overlap(W, other)


for T in temperatures:
    W, fresh = truth[T], exact_samples(T, 20_000)
    visits = np.bincount(np.abs(fresh @ patterns.T).argmax(axis=1), minlength=P) / len(fresh)
    s = train[T, counts[-1]]
    visited = np.bincount(np.abs(s @ patterns.T).argmax(axis=1), minlength=P) / len(s)
    values, vectors = np.linalg.eigh(exact_covariance(T))
    print(f"T = {T}: states nearest to each pattern, exactly {np.round(visits, 3)}, samples {visited}")
    print(
        f"  strengths beta J* {np.round(strengths(W), 3)}, variances {np.round(values[-P:][::-1], 2)};"
    )
    print(f"  PCA of infinitely many samples: 1 - q = {lost(vectors[:, -P:].T, W):.5f}", end=", ")
    limit = np.sqrt(np.maximum(1 - 1 / values[-P:], 0))[:, None] * vectors[:, -P:].T
    print(f"gamma = {error(limit, W):.3f}")
    for M in counts:
        Y, V, s = found[T, M], spectral[T, M], train[T, M]
        run = training.sel(data_temperature=T, samples=M).isel(update=-1)
        before = learned.sel(data_temperature=T, samples=M).isel(update=-2).values / np.sqrt(N)
        verdict = training["chain_verdict"].attrs["flag_meanings"].split()[int(run["chain_verdict"])]
        print(
            f"  M = {M}: gamma {error(Y, W):.3f} (at half the updates {error(before, W):.3f}), ", end=""
        )
        print(f"Cramer-Rao {np.sqrt(floor[T][0] / M):.3f}, PCA {error(V, W):.3f};", end=" ")
        print(f"1 - q {lost(Y, W):.4f}, {floor[T][1] / M:.4f}, {lost(V, W):.4f}", end="; ")
        gains = [log_likelihood(each, fresh) - log_likelihood(W, fresh) for each in (Y, V)]
        print(f"log-likelihood of fresh states less the teacher's {gains[0]:.2f}, PCA {gains[1]:.2f};")
        print(f"    strengths {np.round(strengths(Y), 3)}, PCA {np.round(strengths(V), 3)};", end=" ")
        print(f"chains {verdict}, lag {run['chain_lag']:.3f}, tau {run['chain_tau']:.1f}")

# %% Patterns of other numbers than +-1: tanh deforms their entries differently
unlike = []
for _ in range(5):
    W = rng.normal(size=(P, N)) / np.sqrt(N * temperatures[0])
    z, weight, _ = hidden(W)
    means = np.tanh(z @ W)
    C = (weight[:, None] * means).T @ means
    np.fill_diagonal(C, 1.0)
    unlike.append(lost(np.linalg.eigh(C)[1][:, -P:].T, W))
print(f"Gaussian patterns, T = {temperatures[0]}, PCA of infinitely many samples: 1 - q from ", end="")
print(f"{min(unlike):.3f} to {max(unlike):.3f} in {len(unlike)} draws")

# %% The figure
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.9), layout="constrained")
    left, middle, right = fig.subplots(1, 3)
    for number, T in enumerate(temperatures):
        W, colour = truth[T], plots.COLOURS[number]
        thin = {"color": colour, "linewidth": 0.9}
        style = {"color": colour, "marker": plots.MARKERS[number], "linestyle": "", "zorder": 3}
        # both are seen where they meet: small full marks within large open ones
        open_style = {**style, "fillstyle": "none", "markeredgewidth": 0.7, "markersize": 6}
        style["markersize"] = 2.8
        for ax, measure, bound in ((left, lost, floor[T][1]), (middle, error, np.sqrt(floor[T][0]))):
            power = 1 if ax is left else 0.5
            ax.plot(counts / N, [measure(found[T, M], W) for M in counts], label=f"$T$ = {T}", **style)
            ax.plot(counts / N, [measure(spectral[T, M], W) for M in counts], **open_style)
            mean = [np.mean([measure(V, W) for V in sets[T, M]]) for M in along]
            ax.plot(along / N, mean, **thin)
            ax.plot(along / N, bound / along**power, linestyle="--", **thin)
        if T > 1:
            fine, values = np.geomspace(30, 20_000, 200), np.linalg.eigvalsh(exact_covariance(T))
            left.plot(fine / N, [1 - bbp(values, M) for M in fine], linestyle=":", **thin)
        right.plot(strengths(W), strengths(found[T, counts[-1]]), **style)
        right.plot(strengths(W), strengths(spectral[T, counts[-1]]), **open_style)
    left.axhline(1 - P / N, color="0.6", linewidth=0.7)
    left.set(xscale="log", yscale="log", xlabel="samples per unit $M / N$", ylim=(7e-4, 2))
    left.set_ylabel("$1 - q$ of the spaces")
    middle.set(xscale="log", yscale="log", xlabel="samples per unit $M / N$", ylim=(0.03, 4))
    middle.set_ylabel(r"error $\gamma$ of the couplings")
    ends = (0.3, 1.8)
    right.plot(ends, ends, color="0.6", linewidth=0.7)
    right.set(xlabel=r"eigenvalue of $\beta J^*$", ylabel="eigenvalue of the learned $J$")
    right.set_title(f"$M$ = {counts[-1]}")
    grey = {"color": "0.3", "linewidth": 0.9}
    left.plot([], [], "o", color="0.3", label="maximum likelihood")
    left.plot([], [], "o", color="0.3", fillstyle="none", markeredgewidth=0.7, label="PCA")
    left.plot([], [], label="PCA, mean", **grey)
    left.plot([], [], linestyle=":", label="PCA, large $N$", **grey)
    left.plot([], [], linestyle="--", label="Cramér-Rao", **grey)
    known = left.get_legend_handles_labels()
    fig.legend(*known, loc="outside upper center", ncols=8, columnspacing=0.9, handlelength=1.4)
    plots.save(fig, FIGURES / "hopfield_learning.png", dpi=200)
