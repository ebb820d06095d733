# %% [markdown]
"""A restricted Boltzmann machine learns 8x8 digits, and is then a thermodynamic system.

Claim: persistent chains follow the machine through the whole training (their lag stays below 0.1
standard deviations), and fresh samples of it have the means and covariances of the data within the
noise of 1617 pictures. Singular values of W leave the noise one by one, along the leading principal
components of the data. Over temperature the trained machine has a maximum of its specific heat below
T = 1: there its chains fall into a few states, at T = 1 they do not. With the upper half of unseen
pictures held fixed it completes the lower half better than independent pixels.

Theory: fields of independent pixels alone have c(T) = (1/N) sum_i (a_i/T)^2 p_i (1 - p_i) with
p_i = 1/(1 + exp(-a_i/T)). Specific-heat maxima of models of data: T. Mora and W. Bialek, J. Stat. Phys.
144, 268 (2011); why they are to be expected: I. Mastromatteo and M. Marsili, J. Stat. Mech. P10012
(2011). Learning as a sequence of transitions: D. Bachtis et al., NeurIPS (2024).
Study: studies/rbm_digits.toml; three younger machines are sampled too (results/rbm_digits_age*.nc)
"""

# %%
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit, log_expit

from physebm import open_trained, open_tree, plots, run_study
from physebm.data.bundled import bundled
from physebm.data.split import split
from physebm.observables.moment_match import choose_triplets, moment_errors
from physebm.observables.moments import empirical_moments

ROOT = Path(__file__).resolve().parent.parent
FIGURES = Path(__file__).parent / "figures"
RESULT = ROOT / "results" / "rbm_digits.nc"
tree = open_tree(RESULT)
summary, training = tree.to_dataset(), tree["training"].to_dataset()
machine = open_trained(RESULT)
N, last = 64, machine.update

# %% The data again: 0 and 1, the parts of the study's seed
digits = bundled("digits", "digits")
pictures = (digits.flat / 16 > 0.5).astype(np.int8)
parts = split(len(pictures), validation=0.0, test=0.1, seed=1998, where="split")
train, test = pictures[parts.train], pictures[parts.test]


# %% How well pixels are predicted from all others, all samples and pixels taken
def pseudo_likelihood(x: np.ndarray) -> np.ndarray:
    """sum_i log p(v_i | v_rest) per sample, in nats."""
    free = machine.score(x)["free_energy"].values
    total = np.zeros(len(x))
    for i in range(N):
        flipped = x.copy()
        flipped[:, i] = 1 - x[:, i]
        total += log_expit(machine.score(flipped)["free_energy"].values - free)
    return total


for name, x in (("training", train), ("test", test)):
    each = pseudo_likelihood(x)
    print(f"pseudo-log-likelihood, {name}: {each.mean():.2f} +- {each.std() / np.sqrt(len(x)):.2f}")
free = {name: machine.score(x)["free_energy"].values for name, x in (("a", train), ("b", test))}
gap, error = free["b"].mean() - free["a"].mean(), free["b"].std() / np.sqrt(len(test))
print(f"log-likelihood of a training minus a test sample: {gap:.2f} +- {error:.2f} nats")

# %% Do the chains follow? Lag and tau at every recorded age
tau, lag = training["chain_tau"].values, training["chain_lag"].values
print(f"tau at the end {tau[-1]:.1f} sweeps, 10 sweeps per update; ", end="")
print(
    f"verdicts of ages 1 to {last}: {np.unique(training['chain_verdict'].values[1:])} (0 equilibrated)"
)
print(f"largest lag {np.nanmax(lag):.3f}, at the end {lag[-1]:.3f} standard deviations")
for order in (1, 2, 3):
    rms, noise = (float(training[f"moment{order}_{what}"][-1]) for what in ("rms", "noise"))
    print(f"moments of order {order}, training chains: rms {rms:.5f}, noise floor {noise:.5f}")

# %% Fresh samples: 40 autocorrelation times from random starts, and what two halves of them say
fresh = machine.generate(4000, sweeps=1000, seed=1)["v"]
triplets = choose_triplets(N, (np.arange(2000) + 0.5) / 2000)
of_data, of_test, of_model, half = (
    empirical_moments(x, triplets=triplets) for x in (train, test, fresh, fresh[:2000])
)
for order, name in enumerate(("means", "covariances", "third moments")):
    match, control = (moment_errors(a, b)[order] for a, b in ((of_data, of_model), (of_data, of_test)))
    print(f"{name}, 4000 fresh samples: rms {match.rms:.5f}, noise floor {match.noise:.5f}, ", end="")
    print(f"Pearson {match.pearson:.3f}; 180 test pictures: {control.rms:.5f}, {control.noise:.5f}")


def nearest(x: np.ndarray) -> np.ndarray:
    """The largest overlap of every picture with a training picture."""
    return ((2.0 * x - 1) @ (2.0 * train.T - 1) / N).max(axis=1)


for name, x in (("fresh samples", fresh), ("test pictures", test)):
    print(f"largest overlap with a training picture, {name}: {nearest(x).mean():.3f}")

# %% Younger machines over temperature
AGES = (144, 562, 1677)
STUDY = """
title  = "The digit machine at age {age}"
model  = "rbm"
models = "../models.toml"
seed   = 1998
arrays = {{ from = "rbm_digits.nc", update = {age} }}
[set]
Nv = 64
Nh = 100
[scan]
temperature = {{ linspace = [0.3, 2.0, 18] }}
[sample]
chains  = 8
discard = 2000
sweeps  = 10000
every   = 5
[tempering]
ladder     = "adaptive"
acceptance = 0.3
[observe]
record = ["energy", "specific_heat", "replica_overlap_squared"]
"""
machines = {}
for age in AGES:
    path = RESULT.with_name(f"rbm_digits_age{age}.toml")
    path.write_text(STUDY.format(age=age))
    path.with_suffix(".nc").unlink(missing_ok=True)  # it may be of an earlier training
    machines[age] = open_tree(run_study(path, out=path.with_suffix(".nc")).result).to_dataset()
machines[last] = summary
T = summary["temperature"].values
a = open_trained(RESULT, 0).arrays["a"]
p = expit(a / T[:, None])
independent = ((a / T[:, None]) ** 2 * p * (1 - p)).sum(axis=1) / N


def maximum(age: int, degree: int) -> str:
    """Place of the maximum: a polynomial through 2 degree + 1 points, its error that of the runs."""
    c, s = (machines[age][name].values for name in ("specific_heat", "specific_heat_stderr"))
    top = slice(max(0, c.argmax() - degree), c.argmax() + degree + 1)
    fit, covariance = np.polyfit(T[top] - 0.7, c[top], degree, w=1 / s[top], cov="unscaled")
    fine = np.linspace(T[max(0, c.argmax() - 2)], T[c.argmax() + 2], 2001)
    draws = np.random.default_rng(0).multivariate_normal(fit, covariance, 1000)
    place, *places = (fine[np.polyval(each, fine - 0.7).argmax()] for each in (fit, *draws))
    return f"{place:.3f} +- {np.std(places):.3f}"


at_one = int(np.argmin(np.abs(T - 1)))
for age, ds in machines.items():
    c, sound = ds["specific_heat"].values, int((ds["equilibration"] == 0).sum())
    print(f"age {age}: maximum {c.max():.3f} at T = {maximum(age, 4)}, ", end="")
    print(f"by a parabola {maximum(age, 2)}; c(T = 1) = {c[at_one]:.3f}, ", end="")
    print(f"independent pixels {independent[at_one]:.3f}; equilibrated {sound} of {len(T)}")
P, q = (summary[name].values for name in ("overlap_distribution", "overlap"))
for t in (0.3, 0.5, 0.7, 0.8, 1.0):
    at = int(np.argmin(np.abs(T - t)))
    print(f"T = {t}: <q> = {P[at] @ q:.3f}, weight of q > 0.85: {P[at][q > 0.85].sum():.3f}")
among = ((2.0 * train - 1) @ (2.0 * train.T - 1) / N)[np.triu_indices(len(train), 1)]
print(f"data: <q> = {among.mean():.3f}, weight of q > 0.85: {np.mean(among > 0.85):.3f}")

# %% The lower half of unseen pictures, the upper half held
COPIES, HELD = 20, 32
given = np.where(np.arange(N) < HELD, test, np.nan)


def completed(sweeps: int, seed: int) -> np.ndarray:
    """Chains [picture, copy, unit] in which the upper half stands still."""
    clamp = {"v": np.repeat(given, COPIES, axis=0)}
    states = machine.generate(len(clamp["v"]), sweeps=sweeps, seed=seed, clamp=clamp)
    return states["v"].reshape(len(test), COPIES, N)


whole, short = completed(1000, 3), completed(200, 4)
predicted = np.clip(whole.mean(axis=1), 0.5 / COPIES, 1 - 0.5 / COPIES)
spread = np.sqrt((predicted * (1 - predicted) * 2 / COPIES)[:, HELD:].mean())
drift = np.sqrt(((whole.mean(axis=1) - short.mean(axis=1))[:, HELD:] ** 2).mean())
print(f"1000 against 200 sweeps: probabilities differ by rms {drift:.4f}, by chance {spread:.4f}")
alone = np.broadcast_to((train.sum(axis=0) + 0.5) / (len(train) + 1), test.shape)
like = train[(test[:, None, :HELD] != train[None, :, :HELD]).sum(axis=2).argmin(axis=1)]


def accuracy(guess: np.ndarray) -> tuple[float, float]:
    """Share of masked pixels guessed right, and its error over pictures."""
    right = (guess == test)[:, HELD:].mean(axis=1)
    return right.mean(), right.std(ddof=1) / np.sqrt(len(test))


for name, guess in (
    ("machine, more likely state", predicted > 0.5),
    ("machine, one sample", whole[:, 0]),
    ("independent pixels", alone > 0.5),
    ("training picture with the most similar upper half", like),
):
    print("masked pixels right, {}: {:.3f} +- {:.3f}".format(name, *accuracy(guess)))
for name, p_one in (("machine", predicted), ("independent pixels", alone)):
    score = np.log(np.where(test == 1, p_one, 1 - p_one))[:, HELD:].mean(axis=1)
    print(f"log-likelihood per masked pixel, {name}: {score.mean():.3f}", end="")
    print(f" +- {score.std(ddof=1) / np.sqrt(len(test)):.3f} nats")

# %% Figures: data beside samples, features
rows = [test[:16], test[16:32], fresh[:16], fresh[16:32]]
titles = ["data", "data", "samples", "samples"]
plots.save(
    plots.samples(np.array(rows), (8, 8), row_titles=titles), FIGURES / "rbm_digits.png", dpi=150
)
W = machine.arrays["W"]
plots.save(plots.features(W, (8, 8), count=48), FIGURES / "rbm_digits_features.png", dpi=150)

# %% Inpainting
shown = np.array([np.flatnonzero(digits.labels[parts.test] == digit)[0] for digit in range(10)])
seen = np.where(np.arange(N) < HELD, test, 0.35)
rows = [test[shown], seen[shown], whole[shown, 0], whole[shown, 1], predicted[shown]]
titles = ["picture", "held", "sample", "sample", "mean of 20"]
figure = plots.samples(np.array(rows), (8, 8), row_titles=titles)
plots.save(figure, FIGURES / "rbm_digits_inpainting.png", dpi=150)

# %% Training
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 4.6), layout="constrained")
    (spectrum, score), (moments, memory) = fig.subplots(2, 2, sharex=True)
    ages = np.maximum(training["update"].values, 0.7)
    values = training["singular_values_W"].values
    for mode in range(values.shape[1])[::-1]:
        colour = mpl.colormaps["viridis"](0.9 * min(mode, 24) / 24)
        spectrum.plot(ages, values[:, mode], color=colour, linewidth=0.8)
    spectrum.axhline(4, color="black", linewidth=0.7, linestyle=":")
    spectrum.set(ylabel="singular values of $W$", xscale="log", yscale="log", ylim=(0.05, 15))
    style = {"markersize": 2.5, "linewidth": 0.8}
    for number, (part, name) in enumerate((("train", "training data"), ("test", "test data"))):
        key, look = f"pseudo_log_likelihood_{part}", {"color": plots.COLOURS[number], **style}
        error = training[f"{key}_stderr"].values
        score.errorbar(ages, training[key], error, marker=plots.MARKERS[number], label=name, **look)
    score.set(ylabel="log pseudo-likelihood [nat]")
    score.legend(loc="upper left")
    for order, name in enumerate(("means", "covariances", "third moments")):
        ratio = training[f"moment{order + 1}_rms"] / training[f"moment{order + 1}_noise"]
        look = {"color": plots.COLOURS[order], "marker": plots.MARKERS[order], **style}
        moments.plot(ages, ratio, label=name, **look)
    moments.axhline(1, color="black", linewidth=0.7, linestyle=":")
    moments.set(ylabel="rms error / noise floor", xlabel="update", yscale="log")
    moments.set_yticks([0.7, 1, 2, 3], labels=["0.7", "1", "2", "3"])
    moments.tick_params(axis="y", which="minor", labelleft=False)
    moments.legend(loc="center left", bbox_to_anchor=(0.0, 0.79))
    memory.plot(ages, tau, marker="o", color=plots.COLOURS[0], label=r"$\tau$ of the chains", **style)
    memory.axhline(10, color=plots.COLOURS[0], linewidth=0.7, linestyle=":")
    memory.set(ylabel=r"autocorrelation time $\tau$ [sweep]", xlabel="update", ylim=(0, 33))
    right = memory.twinx()
    right.plot(ages[1:], lag[1:], marker="s", color=plots.COLOURS[1], label="lag", **style)
    right.axhline(0.1, color=plots.COLOURS[1], linewidth=0.7, linestyle=":")
    right.set(ylabel=r"lag of the chains [$\sigma$]", ylim=(0, 0.165))
    handles = [*memory.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    memory.legend(handles, [r"$\tau$ (dotted: sweeps per update)", "lag (dotted: threshold)"])
    plots.save(fig, FIGURES / "rbm_digits_training.png", dpi=130)

# %% Temperature
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.6), layout="constrained")
    heat, overlap, order = fig.subplots(1, 3)
    for number, (age, ds) in enumerate(machines.items()):
        look = {"color": plots.COLOURS[number], "marker": plots.MARKERS[number], **style}
        c, s = ds["specific_heat"], ds["specific_heat_stderr"]
        heat.errorbar(T, c, s, label=f"age {age}", **look)
        q2, s = ds["replica_overlap_squared"], ds["replica_overlap_squared_stderr"]
        order.errorbar(T, q2, s, **look)
    heat.plot(T, independent, "k--", linewidth=0.9, label="pixels alone")
    for ax in (heat, order):
        ax.axvline(1, color="black", linewidth=0.7, linestyle=":")
    heat.set(xlabel="temperature $T$", ylabel="specific heat per pixel $c$", ylim=(0, None))
    heat.legend(fontsize=6.5)
    for number, t in enumerate((0.3, 0.5, 0.7, 1.0)):
        density = P[int(np.argmin(np.abs(T - t)))] / (q[1] - q[0])
        overlap.plot(q, density, color=plots.COLOURS[number], label=f"$T$ = {t}")
    counts = np.histogram(among, np.append(q, 2 * q[-1] - q[-2]) - (q[1] - q[0]) / 2, density=True)[0]
    overlap.plot(q, counts, "k--", linewidth=0.9, label="data")
    overlap.set(
        xlabel="overlap of two chains $q$", ylabel="density $P(q)$", xlim=(-0.2, 1), ylim=(0, 6)
    )
    overlap.legend(loc="upper left", fontsize=6.5)
    order.set(xlabel="temperature $T$", ylabel=r"squared overlap $\langle q^2 \rangle$", ylim=(0, 1))
    plots.save(fig, FIGURES / "rbm_digits_temperature.png", dpi=150)
