# %% [markdown]
"""The pairwise maximum-entropy model of fifteen recorded neurons, by three methods, against exact Z.

    python analysis/neurons_inverse_ising.py example15.mat

The recording (40000 bins of time, variable spikes15) comes with github.com/orimaoz/maxent_toolbox and
is no part of this project. The script runs the study (on all bins, and on the first half, to score the
second), prints the numbers and draws results/neurons_inverse_ising.png.

Claim: exact maximum likelihood, persistent chains and pseudo-likelihood climb to the same model, whose
log-likelihood is known from an independent calculation: -4.48652 nats per bin. It predicts what it was
not fitted to: how often single patterns occur, and how many neurons fire together, where independent
neurons fail by a factor that grows with their number.

Pairs of neurons that never fire together have no maximum at a finite coupling: theirs goes on falling
as long as one trains, with nothing left to gain. The figures of comparison are those of couplings that
fell further: on the half that was not trained on, where one such pair fires once, -4.4998 at a coupling
of -21 against -4.4990 where this study stops.

Theory: E. Schneidman et al., Nature 440, 1007 (2006); log Z by summing over all 2^15 states.
Study: studies/neurons_inverse_ising.toml
"""

# %%
import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from physebm import open_tree, plots
from physebm.cli import main as physebm
from physebm.data.read import read_data
from physebm.study.trained import open_trained

ROOT = Path(__file__).resolve().parent.parent
INDEPENDENT, MAXIMUM = -4.5536, -4.48652  # nats per bin, by another program
if len(sys.argv) != 2:
    sys.exit(__doc__)
data_file = Path(sys.argv[1]).resolve()


# %% Train on all bins by three methods, and exactly on the first half
def run(name: str, *overrides: str) -> Path:
    """The result of the study with these overrides; computed only where it is not there yet."""
    out = ROOT / "results" / f"{name}.nc"
    words = [f"train.data.path={json.dumps(str(data_file))}", *overrides]
    options = [word for each in words for word in ("--set", each)]
    study = str(ROOT / "studies" / "neurons_inverse_ising.toml")
    physebm(["run", study, *options, "--out", str(out), "--no-plot"], standalone_mode=False)
    return out


result = run("neurons_inverse_ising")
half = run("neurons_inverse_ising_half", "train.data.rows=[0, 20000]", 'train.method="exact"')

# %% Log-likelihoods
x = read_data(data_file, variable="spikes15").flat
training = open_tree(result)["/training"]
methods = [str(name) for name in training["train_method"].values]
for name in methods:
    reached = float(training["log_likelihood_train"].sel(train_method=name)[-1])
    print(f"{name}: {reached:.5f} nats per bin, {reached - MAXIMUM:+.5f} of the maximum")
print(f"independent neurons: {float(training['log_likelihood_train'][0, 0]):.5f}")
first_half = open_trained(half)
for part, name in ((x[:20000], "first half (trained on)"), (x[20000:], "second half (not seen)")):
    print(f"{name}: {first_half.score(part)['log_likelihood'].values.mean():.5f}")

# %% Probabilities of all 2^15 patterns: of the model, of independent neurons, in the data
N = x.shape[1]
patterns = (np.arange(2**N)[:, None] >> np.arange(N) & 1).astype(np.int8)
rates = x.mean(axis=0)
independent = np.exp(patterns @ np.log(rates) + (1 - patterns) @ np.log1p(-rates))
models = {name: open_trained(result, train_method=name) for name in methods}
p = {name: np.exp(model.score(patterns)["log_likelihood"].values) for name, model in models.items()}
counts = np.bincount(x.astype(np.int64) @ (1 << np.arange(N)), minlength=2**N)
seen = counts / counts.sum()
entropy = -(seen[seen > 0] @ np.log(seen[seen > 0]))
share = (MAXIMUM - INDEPENDENT) / (-entropy - INDEPENDENT)
print(
    f"patterns seen: {np.count_nonzero(counts)} of {2**N}, entropy of their frequencies {entropy:.4f}"
)
print(f"share of the multi-information that pairs explain: {share:.2f} (frequencies bias it low)")
often = counts >= 10
for name, q in (("pairwise", p["exact"]), ("independent", independent)):
    ratio = np.sqrt(np.mean(np.log(q[often] / seen[often]) ** 2))
    print(f"{name}: rms log ratio to {often.sum()} patterns seen ten times or more {ratio:.2f}")

# %% Covariances and couplings, and how many fire together
C = {name: np.cov(patterns.T, aweights=q, ddof=0) for name, q in (*p.items(), ("data", seen))}
upper = np.triu_indices(N, 1)
pairs = (x.T.astype(float) @ x)[upper]
known = pairs >= 10
print(f"pairs that never fire together: {np.sum(pairs == 0)}; ten times or more: {known.sum()}")
for name in methods:
    c, c_data = C[name][upper], C["data"][upper]
    distance = (models[name].arrays["J"] - models["exact"].arrays["J"])[upper][known]
    print(f"{name}: covariances Pearson {np.corrcoef(c, c_data)[0, 1]:.5f}, ", end="")
    print(f"rms {np.sqrt(np.mean((c - c_data) ** 2)):.1e}; ", end="")
    print(f"couplings of the latter off exact ones by rms {np.sqrt(np.mean(distance**2)):.3f}")
together = np.array(
    [np.bincount(patterns.sum(axis=1), q, N + 1) for q in (seen, p["exact"], independent)]
)

for k in (0, 4, 8):
    counted = ", ".join(f"{q[k]:.2e}" for q in together)
    print(f"P(K = {k}) in data, pairwise, independent: {counted}")

# %% The figure
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.7), layout="constrained")
    left, middle, right = fig.subplots(1, 3)
    ages = training["update"].values
    for name, colour, marker in zip(methods, plots.COLOURS, plots.MARKERS):
        gap = MAXIMUM - training["log_likelihood_train"].sel(train_method=name).values
        left.plot(ages[1:], gap[1:], color=colour, marker=marker, markersize=3, label=name)
    left.axhline(2e-3, color="0.4", linewidth=0.7, linestyle=":")
    left.set(xscale="log", yscale="log", xlabel="update", ylabel="nats below the maximum")
    left.set_ylim(3e-7, None)
    left.legend(loc="lower left")
    for q, colour, label in (
        (independent, plots.COLOURS[5], "independent"),
        (p["exact"], plots.COLOURS[0], "pairwise"),
    ):
        middle.plot(seen[often], q[often], ".", color=colour, markersize=2.5, label=label)
    ends = [seen[often].min(), 1]
    middle.plot(ends, ends, color="black", linewidth=0.7)
    middle.set(
        xscale="log", yscale="log", xlabel="frequency of a pattern", ylabel="probability in the model"
    )
    middle.legend(loc="lower right")
    look = ({"color": "black", "marker": "o", "linestyle": ""}, {"color": plots.COLOURS[0]})
    k = np.arange(N + 1)
    for q, style, label in zip(
        together,
        (*look, {"color": plots.COLOURS[5], "linestyle": "--"}),
        ("data", "pairwise", "independent"),
    ):
        there = q > 0
        right.plot(k[there], q[there], label=label, **style)
    right.set(yscale="log", xlabel="neurons that fire together $K$", ylabel="probability $P(K)$")
    right.set_ylim(together[0][together[0] > 0].min() / 10, 1)
    right.legend()
    plots.save(fig, ROOT / "results" / "neurons_inverse_ising.png", dpi=200)
