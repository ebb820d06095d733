# %% [markdown]
"""The inverse Ising problem: couplings of a spin glass from samples, and what limits every method.

Claim: maximum likelihood (persistent chains) and pseudo-likelihood reach the error that the noise of
the samples dictates, at every temperature and number of samples; mean-field inversions stop at a bias
of their own, which grows as the temperature falls and which more samples do not cure.

    gamma = sqrt( sum_{i<j} (J_ij - beta J*_ij)^2 / sum_{i<j} (beta J*_ij)^2 )

Theory, from the enumerated 2^16 states of this very teacher, nothing fitted. An estimate without bias
whose covariance is V / M at M samples has <gamma^2> = trace V / (M |beta J*|^2) over the pairs, where

    maximum likelihood   V = F^-1, F the Fisher information (covariance of s_i s_j and s_i): the bound
                         of Cramer and Rao
    pseudo-likelihood    V = A^-1 B A^-1, A the mean curvature of its objective, B the covariance of
                         its gradient (J. Besag, Biometrika 64, 616 (1977))

to leading order in 1 / M. An inversion is a function of the magnetisations and correlations alone: its
error is the median over data sets of M exact samples; at the exact moments it is the bias.

Study: studies/inverse_ising.toml, after E. Aurell and M. Ekeberg, Phys. Rev. Lett. 108, 090201 (2012)
"""

# %%
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from physebm import plots
from physebm.learning import inversion
from physebm.learning.recipe import INVERSIONS
from physebm.study.figures import Drawn

ROOT = Path(__file__).resolve().parent.parent
FIGURES = Path(__file__).parent / "figures"
RESULT = ROOT / "results" / "inverse_ising.nc"
tree = xr.open_datatree(RESULT)
training = tree["training"].to_dataset()
# An inversion is done after its one update, the others after their last.
every_age = tree["arrays"]["J"]
learned = every_age.isel(update=-1).fillna(every_age.sel(update=1))
temperatures, counts = learned["data_temperature"].values, learned["samples"].values
methods = [str(name) for name in learned["train_method"].values]
couplings = tree["teacher"]["J"].isel(data_temperature=0, samples=0, train_method=0).values
FIELD = Drawn(RESULT).study.train.data.set["h"].constant
N = len(couplings)
upper = np.triu_indices(N, 1)
pairs, truth = len(upper[0]), couplings[upper]

# %% The teacher, state by state; statistics are numbered s_i s_j (i < j), then s_i
states = (2 * (np.arange(2**N)[:, None] >> np.arange(N) & 1) - 1).astype(np.float64)
fields = states @ couplings + FIELD
energies = -(states * (fields + FIELD)).sum(axis=1) / 2
place = np.diag(pairs + np.arange(N))
place[upper] = place.T[upper] = np.arange(pairs)


statistics = np.concatenate([states[:, upper[0]] * states[:, upper[1]], states], axis=1)


def floors(T):
    """Of maximum and pseudo-likelihood: V / |beta J*|^2 over the pairs."""
    p, size = probabilities(T), pairs + N
    mean, second = p @ statistics, np.zeros((size, size))
    A, B = np.zeros((size, size)), np.zeros((size, size))
    for start in range(0, len(states), 2**13):
        at = slice(start, start + 2**13)
        s, w, phi, t = states[at], p[at], statistics[at], np.tanh(fields[at] / T)
        second += (w[:, None] * phi).T @ phi
        D = s - t
        pair_score = D[:, upper[0]] * s[:, upper[1]] + s[:, upper[0]] * D[:, upper[1]]
        score = np.concatenate([pair_score, D], axis=1)
        B += (w[:, None] * score).T @ score
        for i in range(N):
            own = s.copy()
            own[:, i] = 1.0
            A[np.ix_(place[i], place[i])] += (w * (1 - t[:, i] ** 2) * own.T) @ own
    curve = np.linalg.inv(A)
    found = np.linalg.inv(second - np.outer(mean, mean)), curve @ B @ curve
    return {name: V[:pairs, :pairs] / norm(T) ** 2 for name, V in zip(methods, found)}


def probabilities(T):
    """Of every state."""
    p = np.exp(-(energies - energies.min()) / T)
    return p / p.sum()


def norm(T):
    """The length of the true couplings, |beta J*|."""
    return np.linalg.norm(truth) / T


def inverted(mean, name):
    """What an inversion makes of means of the statistics: J, h, and the number of unsolved pairs."""
    m, C = mean[pairs:], np.zeros((N, N))
    C[upper] = mean[:pairs]
    C += C.T - np.outer(m, m)
    np.fill_diagonal(C, 1 - m**2)
    return inversion.METHODS[INVERSIONS[name]](m, C)


def bias(T, name):
    """gamma of an inversion at the exact moments, and the pairs for which it has no real solution."""
    J, _, unsolved = inverted(probabilities(T) @ statistics, name)
    return np.linalg.norm(J[upper] - truth / T) / norm(T), unsolved


def typical(T, M, draws=15):
    """Of every inversion the median of gamma over sets of M exact samples."""
    rng = np.random.default_rng(0)
    counted = rng.multinomial(M, probabilities(T), size=draws)
    means = counted @ statistics / M
    errors = {
        name: [np.linalg.norm(inverted(mean, name)[0][upper] - truth / T) for mean in means]
        for name in INVERSIONS
    }
    return {name: np.median(each) / norm(T) for name, each in errors.items()}


# %% The lines: along M at one temperature, along T at the fewest and the most samples
COLD, FEW, MANY = temperatures[1], counts[0], counts[-1]
along_T = np.unique([*temperatures, *np.geomspace(0.55, 2.6, 15)])
along_M = np.unique([*counts, *np.geomspace(700, 100_000, 8).astype(int)])
floor = {T: floors(T) for T in along_T}
places = {(COLD, M) for M in along_M} | {(T, M) for T in along_T for M in (FEW, MANY)}
places |= {(T, M) for T in temperatures for M in counts}
expected = {at: typical(*at) for at in sorted(places)}
for T, M in expected:
    expected[T, M] |= {name: np.sqrt(np.trace(V) / M) for name, V in floor[T].items()}

# %% What was learned
J = learned.values[..., upper[0], upper[1]]
wanted = truth / temperatures[:, None]
miss = J - wanted[:, None, None]
gamma = np.linalg.norm(miss, axis=-1) / np.linalg.norm(wanted, axis=-1)[:, None, None]
gamma = learned.isel(J_0=0, J_1=0, drop=True).copy(data=gamma)

ratio = [np.trace(floor[T]["pseudo-likelihood"]) / np.trace(floor[T]["pcd"]) for T in temperatures]
print("trace V of pseudo-likelihood over that of Cramer and Rao:", np.round(ratio, 3))
for name in INVERSIONS:
    found = [bias(T, name) for T in temperatures]
    print(f"{name}: bias (unsolved pairs)", *(f"{size:.3f} ({count})" for size, count in found))
for name in methods:
    known = np.array([[expected[T, M][name] for M in counts] for T in temperatures])
    ratio = gamma.sel(train_method=name).values / known
    print(f"{name}: measured over expected from {ratio.min():.2f} to {ratio.max():.2f}; T by M")
    print(np.round(ratio, 2))
for name in ("pcd", "pseudo-likelihood"):
    pulls = [
        (float(gamma.sel(train_method=name, data_temperature=T, samples=M)) ** 2 - np.trace(V) / M)
        / (np.sqrt(2 * np.sum(V * V)) / M)
        for T, V in ((T, floor[T][name]) for T in temperatures)
        for M in counts
    ]
    print(f"{name}: pulls of gamma^2 from {min(pulls):.1f} to {max(pulls):.1f}, ", end="")
    print(f"mean square {np.mean(np.square(pulls)):.2f}")
tau = training["chain_tau"].isel(update=-1, train_method=methods.index("pcd")).max("samples").values
print("pcd: tau of the chains in sweeps, by T:", np.round(tau, 1))

# %% The figure
NAMES = {
    "pcd": "maximum likelihood (pcd)",
    "mean-field": "naive mean field",
    "tap": "TAP",
    "bethe": "Bethe",
}
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.9), layout="constrained")
    left, middle, right = fig.subplots(1, 3, sharey=True)
    for number, name in enumerate(methods):
        style = {"color": plots.COLOURS[number], "marker": plots.MARKERS[number], "linestyle": ""}
        if number < 2:
            style |= {"fillstyle": "none", "markersize": 4 + 2.5 * (1 - number), "zorder": 3}
        label = NAMES.get(name, name)
        thin = {"color": plots.COLOURS[number], "linewidth": 0.9}
        left.plot(along_M, [expected[COLD, M][name] for M in along_M], **thin)
        left.plot(counts, gamma.sel(train_method=name, data_temperature=COLD), label=label, **style)
        for ax, count in ((middle, FEW), (right, MANY)):
            ax.plot(along_T, [expected[T, count][name] for T in along_T], **thin)
            ax.plot(temperatures, gamma.sel(train_method=name, samples=count), **style)
    left.set(xscale="log", yscale="log", xlabel="samples $M$", ylabel=r"reconstruction error $\gamma$")
    left.set_title(f"$T$ = {COLD}")
    for ax, count in ((middle, FEW), (right, MANY)):
        ax.set(xlabel="temperature of the teacher $T$", ylim=(0.02, 3))
        ax.set_title(f"$M$ = {count}")
    known = left.get_legend_handles_labels()
    fig.legend(*known, loc="outside upper center", ncols=5, columnspacing=1.0)
    plots.save(fig, FIGURES / "inverse_ising.png", dpi=200)

# %% Coupling by coupling
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 1.85), layout="constrained")
    axes = fig.subplots(1, len(methods), sharex=True, sharey=True)
    for number, (ax, name) in enumerate(zip(axes, methods)):
        found = J[list(temperatures).index(COLD), -1, number]
        known = truth / COLD
        ends = (-1.1, 1.1)
        ax.plot(ends, ends, color="0.6", linewidth=0.7)
        ax.plot(known, found, ".", color=plots.COLOURS[number], markersize=2.5)
        ax.set_title(NAMES.get(name, name).removesuffix(" (pcd)"))
        slope = known @ found / (known @ known)
        print(f"{name}, T = {COLD}, M = {MANY}: slope {slope:.3f}, ", end="")
        print(f"largest miss {np.abs(found - known).max():.2f}")
    axes[0].set_ylabel(r"learned $J_{ij}$")
    fig.supxlabel(rf"true $\beta J^*_{{ij}}$, $T$ = {COLD}, $M$ = {MANY}", fontsize=9)
    plots.save(fig, FIGURES / "inverse_ising_couplings.png", dpi=200)
