# %% [markdown]
"""Ten ways to log Z on four models whose log Z is known: error against cost, pulls, brackets, verdicts.

Claim: the sampled estimators err as 1/sqrt(cost), pilot runs apart, and by as much as they say they do;
nothing that they call trusted is off by more than four of their errors. Approximations cost next to
nothing, and have errors from 0.7 to 12 nats that no budget cures.

The cost counts updates of single units, pilot runs, reverse walks and cold starts included, as
`physebm estimate` counts them, so that it is the same on every machine.

Four budgets, each a quarter of the next: sweeps of the ladder, temperatures of the annealing and size
of the populations. Eight repetitions each (SK: sixteen samples), of their own random numbers; a dot is
a root mean square over them, good to a quarter.

Exact: sum over magnetisations; B. Kaufman, Phys. Rev. 76, 1232 (1949); enumeration.
Studies: studies/free_energy_methods_*.toml, as they are and with smaller budgets (results/*_part*.nc)
"""

# %%
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from physebm import open_tree, plots, run_study
from physebm.study.free_energy_costs import annealing_sweeps, ladder_sweeps, population_sweeps
from physebm.theory import curie_weiss, ising2d

ROOT = Path(__file__).resolve().parent.parent
FIGURES = Path(__file__).parent / "figures"
PARTS = (64, 16, 4, 1)
LADDER = ("mbar", "bar", "integration", "stepping-stone")
SAMPLED = (*LADDER, "ais", "population-annealing")
APPROXIMATIONS = ("mean-field", "tap", "bethe")
FAMILIES = ("bar", "ais", "population-annealing")
MODELS = {
    "curie_weiss": ("Curie-Weiss, N = 64, T = 0.7", 64, lambda: curie_weiss.log_z(1 / 0.7, 64)),
    "ising_2d": ("Ising 16 x 16, T = 2.0", 256, lambda: ising2d.torus_log_z(1 / 2.0, 16)),
    "sk": ("SK, N = 20, T = 0.4", 20, None),
    "rbm": ("RBM on digits, 64 x 21", 85, None),
}


# %% Run what is not there yet
def found(model: str, part: int):
    """The free energies of a study at 1/part of its budget, and the study."""
    name = f"free_energy_methods_{model}"
    budget = {
        "ladder.sweeps": 16384,
        "ladder.discard": 4096,
        "annealing.temperatures": 2048,
        "population.size": 1920,
    }
    smaller = [f"free_energy.{key}={most // part}" for key, most in budget.items()]
    # of one seed a short run is the beginning of a long one
    smaller = [*smaller, f"seed={part}"] if part > 1 else []
    out = ROOT / "results" / (f"{name}_part{part}.nc" if part > 1 else f"{name}.nc")
    done = run_study(ROOT / "studies" / f"{name}.toml", smaller, out=out)
    return open_tree(done.result)["free_energies"].to_dataset(), done.study


def costs(ds, study, units: int) -> dict[str, float]:
    """Updates of single units per estimate, mean over repetitions."""
    matrix = ds["overlap_matrix"].sel(estimator="mbar")
    rows = round(float(np.isfinite(matrix).any("row_to").sum("row").mean()))
    steps = round(float(ds["rows"].sel(estimator="population-annealing").mean()))
    asked, data = study.free_energy, study.train is not None
    cost = dict.fromkeys(LADDER, ladder_sweeps(asked.ladder, 1, rows))
    cost["population-annealing"] = population_sweeps(asked.population, steps, data)
    cost["ais"] = annealing_sweeps(asked.annealing, data=data)
    return {method: units * each for method, each in cost.items()}


# %% Errors [repetition, method] by model and part
error, stderr, low, high, verdict, cost = ({} for _ in range(6))
for model, (_, units, exact) in MODELS.items():
    for part in PARTS:
        ds, study = found(model, part)
        truth = exact() if exact else ds["log_z"].sel(estimator="exact")
        ds, at = ds.sel(estimator=list(SAMPLED + APPROXIMATIONS)), (model, part)
        error[at], stderr[at] = ds["log_z"] - truth, ds["log_z_stderr"]
        low[at], high[at] = ds["log_z_low"] - truth, ds["log_z_high"] - truth
        verdict[at] = ds["verdict"]
        cost[at] = costs(ds, study, units)


def rms(held, method: str) -> float:
    return float(np.sqrt((held.sel(estimator=method) ** 2).mean()))


def joined(held, model: str, method: str) -> np.ndarray:
    """All repetitions at all budgets, ``[part, repetition]``."""
    return np.stack([held[model, part].sel(estimator=method).values for part in PARTS])


for model, (title, _, _) in MODELS.items():
    print(f"\n{title}")
    for method in SAMPLED:
        numbers = "  ".join(
            f"{cost[at][method]:.1e}: {rms(error[at], method):.4f} ({rms(stderr[at], method):.4f})"
            for at in ((model, part) for part in PARTS)
        )
        print(f"{method:21s} cost: rms error (claimed)  {numbers}")
    for method in SAMPLED:
        miss, claimed, worth = (joined(held, model, method) for held in (error, stderr, verdict))
        pull, trusted = miss / claimed, worth == 0
        outside = np.maximum(joined(low, model, method), -joined(high, model, method))
        worst = np.abs(pull[trusted]).max(initial=0.0)
        print(
            f"{method:21s} pull {pull.mean():+.2f} +- {pull.std(ddof=1):.2f}, largest "
            f"{np.abs(pull).max():.1f}, trusted {worst:.1f}; trusted by budget {trusted.sum(1)}, "
            f"failed {(worth == 2).sum(1)}; bracket holds log Z {(outside <= 0).sum(1)} of "
            f"{miss.shape[1]}, misses it by {np.nanmax(outside):.3f} at most"
        )
    price = {m: cost[model, 1][m] * rms(stderr[model, 1], m) ** 2 for m in SAMPLED}
    dear = ", ".join(f"{method} {each / price['bar']:.2f}" for method, each in price.items())
    print(f"cost x claimed variance, relative to bar: {dear}")
    bias = float(
        (error[model, 1].sel(estimator=["integration", "bar"]) * [1, -1]).sum("estimator").mean()
    )
    print(f"integration less bar, mean at the largest budget: {bias:+.4f}")
    for method in APPROXIMATIONS:
        miss = error[model, 1].sel(estimator=method).values
        other = "" if model == "rbm" else f"; with log 2, {miss.min() + np.log(2):+.3f}"
        print(f"{method:21s} error from {miss.min():+.3f} to {miss.max():+.3f}{other}")

every = {method: [] for method in SAMPLED}
for at, held in error.items():
    for method in SAMPLED:
        good = verdict[at].sel(estimator=method).values == 0
        every[method] += list((held / stderr[at]).sel(estimator=method).values[good])
print("\nTrusted estimates of all models and budgets")
for method, pull in every.items():
    mean, spread, worst = np.mean(pull), np.std(pull, ddof=1), np.abs(pull).max()
    ends = [(low[at].sel(estimator=method), high[at].sel(estimator=method)) for at in error]
    outside = np.concatenate([np.maximum(left, -right) for left, right in ends])
    made, held = len(outside), np.count_nonzero(outside <= 0)
    print(
        f"{method:21s} {len(pull)} of {made}: mean {mean:+.2f}, sd {spread:.2f}, largest {worst:.2f}; ",
        end="",
    )
    print(f"of all {held} brackets hold log Z, others miss it by {np.nanmax(outside):.3f} at most")

# %% The figure
LINES = dict(zip(APPROXIMATIONS, ("--", ":", "-.")))
FILLS = {0: "full", 1: "none", 2: "none"}
KEY = {
    "trusted": {"marker": "o", "fillstyle": "full"},
    "suspect": {"marker": "o", "fillstyle": "none"},
    "failed": {"marker": "x"},
}
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 6.6), layout="constrained")
    axes = fig.subplots(3, len(MODELS), sharey="row")
    for column, (model, (title, _, _)) in zip(axes.T, MODELS.items()):
        above, middle, below = column
        above.set_title(title)
        for number, method in enumerate(SAMPLED):
            colour, marker = plots.COLOURS[number], plots.MARKERS[number]
            x = [cost[model, part][method] for part in PARTS]
            y = [[rms(held[model, part], method) for part in PARTS] for held in (error, stderr)]
            look = {"color": colour, "marker": marker, "linestyle": "", "fillstyle": "none"}
            above.plot(x, y[0], label=method, **look)
            above.plot(x, y[1], color=colour, linewidth=0.8)
            pull = joined(error, model, method) / joined(stderr, model, method)
            worth = joined(verdict, model, method)
            place = number + np.linspace(-0.3, 0.3, len(PARTS))[:, None] + np.zeros_like(pull)
            for code, fill in FILLS.items():
                here = worth == code
                sign = "x" if code == 2 else marker
                look = {"color": colour, "marker": sign, "fillstyle": fill, "linestyle": ""}
                middle.plot(
                    place[here], np.clip(pull[here], -7.5, 7.5), **look, markersize=2.6, mew=0.5
                )
        for method, dashes in LINES.items():
            size = np.median(np.abs(error[model, 1].sel(estimator=method)))
            above.axhline(size, color="0.35", linestyle=dashes, linewidth=0.8, label=method)
        x = np.array([cost[model, part]["bar"] for part in PARTS])
        guide = 0.4 * rms(stderr[model, PARTS[0]], "bar") * np.sqrt(x[0] / x)
        above.plot(x, guide, color="0.75", linewidth=2, zorder=0, label=r"$1/\sqrt{\mathrm{cost}}$")
        above.set(xscale="log", yscale="log", ylim=(2e-3, 20))
        for size in (-4, 0, 4):
            middle.axhline(size, color="0.6", linewidth=0.6, linestyle=":" if size else "-")
        middle.axhspan(-1, 1, color="0.9", zorder=0)
        names = ["mbar", "bar", "int", "step", "ais", "pop"]
        middle.set_xticks(range(len(SAMPLED)), names, fontsize=6)
        middle.set(ylim=(-8, 8), xlabel="each: budgets 1/64, 1/16, 1/4, 1")
        middle.xaxis.label.set_size(6.5)
        for method in FAMILIES:
            number = SAMPLED.index(method)
            x = [cost[model, part][method] for part in PARTS]
            ends = [np.median(joined(held, model, method), axis=1) for held in (low, high)]
            look = {"color": plots.COLOURS[number], "linewidth": 0.9, "markersize": 3}
            for end in ends:
                below.plot(x, end, marker=plots.MARKERS[number], **look)
            below.fill_between(x, *ends, color=plots.COLOURS[number], alpha=0.15, linewidth=0)
        below.axhline(0, color="0.6", linewidth=0.6)
        below.set_yscale("symlog", linthresh=0.1, linscale=0.6)
        below.set(xscale="log", xlabel="updates of a unit")
        for ax in (above, below):
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.xaxis.set_major_locator(LogLocator(numticks=9))
    axes[0, 0].set_ylabel("error of $\\log Z$ (nat)\nsymbols: made, lines: claimed")
    axes[1, 0].set_ylabel("pull: error / claimed error")
    axes[2, 0].set_ylabel("bracket less exact $\\log Z$ (nat)\nmedians of its ends")
    for ax in axes[:, 0]:
        ax.yaxis.label.set_size(8)
    key = [
        Line2D([], [], color="0.3", linestyle="", markersize=2.6, mew=0.5, label=word, **look)
        for word, look in KEY.items()
    ]
    fig.legend(handles=key, loc="outside lower center", ncols=len(key), columnspacing=1.6)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=5, columnspacing=1.2)
    plots.save(fig, FIGURES / "free_energy_methods.png", dpi=200)
