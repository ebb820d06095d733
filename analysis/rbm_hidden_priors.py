# %% [markdown]
"""The same digits under Bernoulli, Gaussian and rectified Gaussian hidden units.

Claim: under all three priors the modes of W leave the noise one after the other and bend where mean
field says that a mode condenses. The machine with Gaussian hidden units is a pairwise model of the
pixels: it matches their covariances and not their third moments. Rectified units match both, with the
fewest hidden units active at once. Plain ascent at a large rate blows up the Gaussian machine alone.

Theory: a mode becomes unstable where its singular value in sqrt(Var v) W sqrt(Var h) passes 1, Var h
that of the prior: 1/4, 1 and 1 - 2/pi. Summing Gaussian hidden units out leaves
-u(v) = a'v + |b + W'v|^2 / 2: couplings W W', whose gradient (C_data - C_model) W grows with W itself.
D. Bachtis et al., NeurIPS (2024); A. Barra et al., Phys. Rev. E 97, 022310 (2018), on priors;
J. Tubiana and R. Monasson, Phys. Rev. Lett. 118, 138301 (2017), on rectified units.
Study: studies/rbm_hidden_priors.toml; large rates: results/rbm_hidden_priors_large_rate.nc
"""

# %%
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from physebm import open_trained, open_tree, plots, run_study
from physebm.data.bundled import bundled
from physebm.data.split import split
from physebm.model.conditionals import Conditionals
from physebm.observables.moment_match import choose_triplets, moment_errors
from physebm.observables.moments import empirical_moments

ROOT = Path(__file__).resolve().parent.parent
FIGURES = Path(__file__).parent / "figures"
STUDY, RESULT = ROOT / "studies" / "rbm_hidden_priors.toml", ROOT / "results" / "rbm_hidden_priors.nc"
training = open_tree(RESULT)["training"].to_dataset()
PRIORS = {
    "rbm": ("Bernoulli", 1 / 4),
    "rbm_gaussian_hidden": ("Gaussian", 1.0),
    "rbm_truncated_gaussian_hidden": ("rectified Gaussian", 1 - 2 / np.pi),
}
pictures = (bundled("digits", "digits").flat / 16 > 0.5).astype(np.int8)
parts = split(len(pictures), validation=0.0, test=0.1, seed=1998, where="split")
train = pictures[parts.train]
spread = train.std(axis=0)
ages = training["update"].values


def largest_curvature(machine, v: np.ndarray) -> float:
    """The largest eigenvalue of the Fisher information, from samples v of the machine."""
    row = machine.loaded.coefficients([1.0]).value[0]
    conditionals = Conditionals(machine.hamiltonian, row, machine.params)
    known = conditionals.states({"v": v})
    h = conditionals.moments("h", conditionals.field("h", known)).first
    v, h = v - v.mean(axis=0), h - h.mean(axis=0)
    gradient = np.concatenate([(v[:, :, None] * h[:, None, :]).reshape(len(v), -1), v, h], axis=1)
    gradient -= gradient.mean(axis=0)
    return np.linalg.eigvalsh(gradient @ gradient.T / len(v))[-1]


# %% Numbers at the end, the spectra in their natural scale, and fresh samples
triplets = choose_triplets(64, (np.arange(2000) + 0.5) / 2000)
of_data = empirical_moments(train, triplets=triplets)
natural, samples = {}, {}
for model, (name, variance) in PRIORS.items():
    at = training.sel({"model": model})
    end = at.isel(update=-1)
    score = ", ".join(
        f"{part} {float(end[f'pseudo_log_likelihood_{part}']):.2f}" for part in ("train", "test")
    )
    print(f"{name}: pseudo-log-likelihood {score}; tau {float(end['chain_tau']):.1f} sweeps, ", end="")
    verdicts = np.unique(at["chain_verdict"].values[1:])
    print(f"largest lag {np.nanmax(at['chain_lag']):.3f}, verdicts {verdicts}")
    active = float(end["hidden_participation_h"])
    wide = float(end["weight_participation_W"].mean())
    print(f"  active hidden units {active:.1f} of 64; a hidden unit looks at {wide:.1f} pixels")
    natural[model] = np.array(
        [
            np.linalg.svd(spread[:, None] * open_trained(RESULT, int(age), model=model).arrays["W"])[1]
            for age in ages
        ]
    ) * np.sqrt(variance)
    machine = open_trained(RESULT, model=model)
    samples[model] = v = machine.generate(4000, sweeps=1000, seed=1)["v"]
    print("  fresh samples: ", end="")
    for order, match in enumerate(moment_errors(of_data, empirical_moments(v, triplets=triplets))):
        print(f"order {order + 1} rms {match.rms:.5f} (floor {match.noise:.5f}), ", end="")
    print(f"r = {match.pearson:.2f}")
    sets = [largest_curvature(machine, part) for part in np.split(v, 4)]
    curvature, error = np.mean(sets), np.std(sets, ddof=1) / 2
    print(f"  Fisher information: largest eigenvalue {curvature:.1f} +- {error:.1f}, ", end="")
    print(f"ascent stable below a rate of {2 / curvature:.2f}")
    above = np.flatnonzero(natural[model][:, 0] > 1)[0]
    print(f"  first mode passes 1 between ages {ages[above - 1]} and {ages[above]}; ", end="")
    print(f"tau {at['chain_tau'].values[above - 1]:.2f} and {at['chain_tau'].values[above + 1]:.2f}")
gauss = np.random.default_rng(0).normal(size=(10000, 64))
expected = ((np.abs(gauss) ** 3).sum(axis=1) ** 2 / (gauss**6).sum(axis=1)).mean()
print(f"active hidden units if h were 64 independent Gaussian numbers: {expected:.1f}")

# %% Plain ascent at a rate beyond that, with chains that follow (100 sweeps per update)
words = ['train.optimiser="sgd"', "train.learning_rate=0.5", "train.updates=200", "train.steps=100"]
words += ["train.tau_sweeps=20", "train.record={ every = 20 }"]
outcome = run_study(STUDY, words, out=RESULT.with_name("rbm_hidden_priors_large_rate.nc"), restart=True)
for name, text in outcome.failures.items():
    print(f"{name}: {text}")
messages = open_tree(outcome.result)["message"]
for model, (name, _) in PRIORS.items():
    print(f"{name} at rate 0.5: {str(messages.sel({'model': model}).values) or 'no divergence'}")

# %% Samples
rows = [train[:16], *(v[:16] for v in samples.values())]
titles = ["data", *(name for name, _ in PRIORS.values())]
figure = plots.samples(np.array(rows), (8, 8), row_titles=titles)
plots.save(figure, FIGURES / "rbm_hidden_priors_samples.png", dpi=150)

# %% Spectra, scores, third moments, activity
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 4.6), layout="constrained")
    axes = fig.subplots(2, 3)
    for ax, (model, (name, _)) in zip(axes[0], PRIORS.items()):
        for mode in range(16)[::-1]:
            colour = mpl.colormaps["viridis"](0.9 * mode / 16)
            ax.plot(np.maximum(ages, 0.7), natural[model][:, mode], color=colour, linewidth=0.8)
        ax.axhline(1, color="black", linewidth=0.7, linestyle=":")
        ax.set(xscale="log", yscale="log", ylim=(0.015, 3), title=name, xlabel="update")
        ax.label_outer()
    axes[0, 0].set_ylabel(r"singular values of $\sigma_v W \sigma_h$")
    score, third, activity = axes[1]
    for number, (model, (name, _)) in enumerate(PRIORS.items()):
        at = training.sel({"model": model})
        look = {"color": plots.COLOURS[number], "marker": plots.MARKERS[number]}
        look |= {"markersize": 2.5, "linewidth": 0.8, "label": name}
        x = np.maximum(ages, 0.7)
        score.plot(x, at["pseudo_log_likelihood_test"], **look)
        third.plot(x[1:], (at["moment3_rms"] / at["moment3_noise"])[1:], **look)
        activity.plot(x, at["hidden_participation_h"], **look)
    third.axhline(1, color="black", linewidth=0.7, linestyle=":")
    for ax in axes[1]:
        ax.set(xscale="log", xlabel="update")
    score.set(ylabel="pseudo-log-likelihood [nat]")
    score.text(0.05, 0.92, "test pictures", transform=score.transAxes, fontsize=7.5)
    fig.legend(*score.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    third.set(ylabel="rms / noise, third moments", ylim=(0.8, None))
    activity.set(ylabel="active hidden units", ylim=(0, 70))
    plots.save(fig, FIGURES / "rbm_hidden_priors.png", dpi=150)
