# %% [markdown]
"""Gradient ascent on a Hamiltonian finds the mixtures of Gaussians that expectation-maximisation finds.

Claim: the exact gradient of the declared model, a one-hot hidden unit on Gaussian visible ones, ends at
maxima of the likelihood of 150 irises. EM, written here for the same model (K means, one diagonal
covariance), leaves the trained parameters where they are, and the best maximum of its many starts is
theirs to 1e-6 nat per flower; one draw of four clusters ends at a local maximum, as EM does at times.
Three clusters, found without labels, are the species but for seven flowers.

Independent: the BIC of R's mclust, model EEI, on the same data; log-likelihood = (BIC + p log n) / 2.
Theory: A. P. Dempster, N. M. Laird, D. B. Rubin, J. R. Stat. Soc. B 39, 1 (1977).
Study: studies/gaussian_mixture_iris.toml (scikit-learn holds the data: pip install '.[datasets]')
"""

# %%
import sys
from itertools import permutations
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

import physebm
from physebm import plots
from physebm.data.bundled import bundled

HERE = Path(__file__).resolve().parent
path = Path(sys.argv[1]) if sys.argv[1:] else HERE.parent / "results" / "gaussian_mixture_iris.nc"
training = physebm.open_tree(path)["training"].to_dataset()
clusters, draws = training["K"].values, training["disorder"].values
climb = training["log_likelihood_train"].transpose("K", "disorder", "update")

iris = bundled("iris")
centre, spread = iris.values.mean(axis=0), iris.values.std(axis=0)
x = (iris.values - centre) / spread
MCLUST = {2: -1042.9679, 3: -813.0504, 4: -827.4036}  # mclustBIC(iris[, -5]), column EEI


# %% EM for K means and one diagonal covariance
def shares_of(x, weight, mean, variance):
    """p(cluster | flower) ``[flower, cluster]`` and the log-likelihood per flower."""
    joint = np.log(weight) - 0.5 * ((x[:, None] - mean) ** 2 / variance).sum(-1)
    joint -= 0.5 * np.log(2 * np.pi * variance).sum()
    top = joint.max(axis=1, keepdims=True)
    shares = np.exp(joint - top)
    total = shares.sum(axis=1, keepdims=True)
    return shares / total, float((top + np.log(total)).mean())


def em_step(x, shares):
    """Weights, means and the common variances that the shares ask for."""
    mean = shares.T @ x / shares.sum(axis=0)[:, None]
    variance = np.einsum("nk,nkd->d", shares, (x[:, None] - mean) ** 2) / len(x)
    return shares.mean(axis=0), mean, variance


def em(x, K, random, tolerance=1e-13):
    """The log-likelihood of the maximum that EM climbs to from K flowers as first means."""
    held = (np.full(K, 1 / K), x[random.choice(len(x), K, replace=False)], x.var(axis=0))
    before = -np.inf
    while True:
        shares, value = shares_of(x, *held)
        if value - before < tolerance:
            return value
        held, before = em_step(x, shares), value


random = np.random.Generator(np.random.PCG64(1936))
maxima = {}
for K in clusters:
    found = np.sort([em(x, K, random) for _ in range(100)])
    groups = np.split(found, np.flatnonzero(np.diff(found) > 1e-6) + 1)
    maxima[K] = np.array([group.max() for group in groups])
    print(f"K = {K}: EM from 100 starts: " + ", ".join(f"{g.max():.6f} ({len(g)})" for g in groups))


# %% The trained mixtures: couplings and fields -> weights, means, variances
def mixture(arrays):
    """Weights, means, variances: given cluster k, v has mean variance * W_k."""
    W, b, variance = arrays["W"][:, 0, :].T, arrays["b"][0], arrays["v_variance"]
    log_weight = b + 0.5 * (W**2 * variance).sum(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum(), W * variance, variance


trained = {}
for K in clusters:
    for draw in draws:
        held = mixture(physebm.open_trained(path, K=K, disorder=draw).arrays)
        shares, value = shares_of(x, *held)
        moved = [np.abs(a - b).max() for a, b in zip(em_step(x, shares), held)]
        recorded = float(climb.sel(K=K, disorder=draw)[-1])
        nearest = maxima[K][np.abs(maxima[K] - value).argmin()]
        trained[K, draw] = held, shares, nearest
        print(
            f"K = {K}, draw {draw}: {recorded:.7f} nat (from its arrays {value - recorded:+.0e}), "
            f"EM's maximum {nearest - value:+.1e}; one EM step moves weights {moved[0]:.0e}, "
            f"means {moved[1]:.0e}, variances {moved[2]:.0e}"
        )
    free = K - 1 + (K + 1) * x.shape[1]
    published = (MCLUST[K] + free * np.log(len(x))) / 2 / len(x) + np.log(spread).sum()
    print(f"K = {K}: mclust {published:.5f}, our best {float(climb.sel(K=K)[:, -1].max()):.5f}")

# %% Three clusters against three species
weight, mean, variance = trained[3, draws[0]][0]
cluster = trained[3, draws[0]][1].argmax(axis=1)
names = max(permutations(range(3)), key=lambda p: (np.array(p)[cluster] == iris.labels).sum())
species = np.array(names)[cluster]
right = species == iris.labels
print(f"three clusters: {right.sum()} of {len(x)} flowers with their species")
for k, name in enumerate(iris.attrs["classes"]):
    print(f"   {name}: {np.bincount(species[iris.labels == k], minlength=3)}")

# %% The figure
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.6), layout="constrained")
    left, middle, flowers = fig.subplots(1, 3, width_ratios=[1, 1, 1.15])
    age = climb["update"].values
    for K, colour in zip(clusters, plots.COLOURS):
        for maximum in {trained[K, draw][2] for draw in draws}:
            left.axhline(maximum, color="black", linewidth=0.7, linestyle="--")
        for draw, dash in zip(draws, plots.DASHES):
            curve = climb.sel(K=K, disorder=draw).values
            style = {"color": colour, "linestyle": dash, "linewidth": 1.0}
            left.plot(age[1:], curve[1:], **style)
            middle.plot(age[1:], np.maximum(trained[K, draw][2] - curve[1:], 1e-10), **style)
    lines = [Line2D([], [], color=colour) for _, colour in zip(clusters, plots.COLOURS)]
    lines.append(Line2D([], [], color="black", linewidth=0.7, linestyle="--"))
    left.legend(lines, [*(f"$K$ = {K}" for K in clusters), "EM"], loc="lower right")
    left.set(xscale="log", xlabel="training time $t$ [update]")
    left.set_ylabel(r"log-likelihood $\mathcal{L}$ [nat]")
    middle.set(xscale="log", yscale="log", xlabel="training time $t$ [update]", ylim=(0.5e-10, 10))
    middle.set_ylabel(r"$\mathcal{L}_\mathrm{EM} - \mathcal{L}$ [nat]")
    across, up = 2, 3
    # the flowers themselves are not drawn: means and standard deviations of each species
    for k, (name, colour, marker) in enumerate(
        zip(iris.attrs["classes"], plots.COLOURS[3:], plots.MARKERS)
    ):
        here = iris.values[iris.labels == k][:, [across, up]]
        (x0, y0), (dx, dy) = here.mean(axis=0), here.std(axis=0)
        flowers.errorbar(
            x0, y0, xerr=dx, yerr=dy, color=colour, marker=marker, markersize=4, label=name
        )
    at = centre + spread * mean
    width = spread * np.sqrt(variance)
    for middle_point in at:
        for deviations in (1, 2):
            size = 2 * deviations * width
            flowers.add_patch(
                Ellipse(middle_point[[across, up]], size[across], size[up], fill=False, linewidth=0.7)
            )
    flowers.plot(*at[:, [across, up]].T, linestyle="", marker="+", color="black", markersize=6)
    flowers.set(xlabel="petal length [cm]", ylabel="petal width [cm]")
    flowers.legend(loc="upper left", handletextpad=0.6)
    plots.save(fig, HERE / "figures" / "gaussian_mixture_iris.png", dpi=200)
