# %% [markdown]
"""A machine learns mode by mode, and every mode is a second-order transition of the machine.

Data: three ferromagnets that do not know of each other (128, 80, 48 spins; eight states of equal
weight), so that the covariance has three directions, of strength n_a m^2. Claim: the chains of the
negative phase magnetise along one direction after the other, each where the state before becomes
unstable in theory: where the gain, the largest singular value of D_v^(1/2) W D_h^(1/2) over the units
of the direction, passes 1. Susceptibilities and correlation times peak there. The rounding is that of
the finite size: exact sums over all states of the 256 spins follow the same curves. And: chains that
can no longer cross between states do not teach the machine the weights of these states.

Theory: D. Bachtis, G. Biroli, A. Decelle, B. Seoane, NeurIPS 37 (2024); A. Decelle, G. Fissore,
C. Furtlehner, J. Stat. Phys. 172, 1576 (2018); `physebm.theory.rbm`.
Study: studies/learning_transitions.toml
"""

# %%
import sys
from itertools import product
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import physebm
from physebm import plots
from physebm.backends.base import Lanes, launch
from physebm.observables.correlation import integrated_time
from physebm.sampling import initial
from physebm.theory.rbm import block_distribution, gain, mean_field

HERE = Path(__file__).resolve().parent
path = Path(sys.argv[1]) if sys.argv[1:] else HERE.parent / "results" / "learning_transitions.nc"
result = physebm.open_tree(path)
training = result["training"].to_dataset()
age = training["update"].values
couplings = result["arrays"]["W"].values.astype(np.float64)

SIZES = np.array([128, 80, 48])
edges = np.cumsum([0, *SIZES])
units = [slice(start, stop) for start, stop in zip(edges, edges[1:])]
block = np.repeat([0, 1, 2], SIZES)
PAIRS = list(product((1, -1), repeat=2))  # signs of the second and third direction against the first
NAMES = ["+" + "".join("+" if sign > 0 else "\N{MINUS SIGN}" for sign in signs) for signs in PAIRS]


def mean_couplings(W):
    """``[direction, hidden]``: couplings averaged over the units of a direction."""
    return np.array([W[u].mean(axis=0) for u in units])


# %% Where the state before a direction is unstable
def gain_of(W, a, signs=(1, 1, 1)):
    """The gain of direction `a`, those before it magnetised with the given signs, the others not."""
    m_v, m_h = mean_field(W, np.array(signs)[block], held=block >= a)
    return gain(W[units[a]], 1.0 - m_v[units[a]] ** 2, 1.0 - m_h**2)


def crossing(values, at):
    """`at`, interpolated to where values pass 1."""
    after = int(np.argmax(values > 1.0))
    share = (1.0 - values[after - 1]) / (values[after] - values[after - 1])
    return at[after - 1] * (at[after] / at[after - 1]) ** share


gains = np.array([[gain_of(W, a) for W in couplings] for a in range(3)])
other = np.array([gain_of(W, 2, (1, -1, 1)) for W in couplings])
singular = np.array([np.linalg.norm(mean_couplings(W), axis=1) * np.sqrt(SIZES) for W in couplings]).T
transitions = [crossing(g, age) for g in gains]
for a in range(3):
    at_one = crossing(gains[a], singular[a])
    print(f"direction {a + 1}: gain 1 at update {transitions[a]:.0f}, singular value {at_one:.3f}")
print(f"direction 3 after the other state of the first two: update {crossing(other, age):.0f}")


# %% Exact sums over the states of the three directions, by pairs of opposite states
def exact(W):
    """Per pair of states its weight, <m_a^2> and <|m_a|>: ``[pair], [pair, direction]`` twice."""
    held = block_distribution(mean_couplings(W), SIZES)
    one, two, three = (np.sign(m) for m in held.magnetisation)
    signs = one[:, None, None] * two[:, None], one[:, None, None] * three
    weight, square, size = np.empty(4), np.empty((4, 3)), np.empty((4, 3))
    for pair, (second, third) in enumerate(PAIRS):
        # magnetisation 0 counts half for either sign
        share = held.probability * 0.25 * (1 + second * signs[0]) * (1 + third * signs[1])
        weight[pair] = share.sum()
        for a, m in enumerate(held.magnetisation):
            p = share.sum(axis=tuple({0, 1, 2} - {a})) / weight[pair]
            square[pair, a], size[pair, a] = p @ m**2, p @ np.abs(m)
    return weight, square, size


def limit(W):
    """m_a^2 of infinitely many units: mean field, all states alike."""
    states = [mean_field(W, np.array([1, *signs])[block])[0] for signs in PAIRS]
    return np.mean([[m_v[u].mean() ** 2 for u in units] for m_v in states], axis=0)


shown = np.flatnonzero(age >= 180)
weights, squares, sizes = (np.array(x) for x in zip(*(exact(couplings[i]) for i in shown)))
alike = squares.mean(axis=1)
susceptibility = SIZES * (alike - sizes.mean(axis=1) ** 2)
infinite = np.array([limit(couplings[i]) for i in shown])

# %% The chains of the training: what was recorded along the ten leading singular vectors, taken apart
# by their overlaps with the directions: vectors mix where singular values cross (the rest: variance 1)
modes = np.full((len(age), 3), np.nan)
for i, W in enumerate(couplings):
    U = np.linalg.svd(W, full_matrices=False)[0][:, :10]
    overlap = np.array([U[u].sum(axis=0) ** 2 / n for u, n in zip(units, SIZES)])
    recorded = edges[-1] * training["mode_magnetisation_W"].values[i] - (1.0 - overlap.sum(axis=0))
    found = np.linalg.lstsq((overlap * SIZES[:, None]).T, recorded)[0]
    modes[i] = np.where(overlap.sum(axis=1) > 0.9, found, np.nan)
distance = np.abs(modes[shown] - alike)
worst = np.unravel_index(np.nanargmax(distance), distance.shape)
print(
    f"chains of the training against exact sums: median distance {np.nanmedian(distance):.4f}", end=", "
)
print(f"largest {distance[worst]:.3f} (direction {worst[1] + 1}, update {age[shown][worst[0]]})")
final = np.sign([result["chains"]["v"].values[:, u].sum(axis=1) for u in units])
print("weights of the pairs of states, exact and in the chains at the end:")
for pair, (second, third) in enumerate(PAIRS):
    held = np.mean((final[0] * final[1] == second) & (final[0] * final[2] == third))
    print(f"   {second:+d} {third:+d}: {weights[-1, pair]:.4f}  {held:.3f}")


# %% Fresh chains at the couplings of an age, by the compiled sweeps
def sampled(update, chains=500, discard=100, sweeps=300):
    """m_a in time, ``[direction, chain, sweep]``, from random starts."""
    trained = physebm.open_trained(path, update=int(update))
    plan = physebm.lower(trained.hamiltonian)
    operands = physebm.bind(plan, trained.hamiltonian, trained.params)
    kernels = physebm.select_backend("auto").compile(plan)
    sampler = physebm.PlanSampler(kernels, launch(plan, operands, trained.loaded.coefficients([1.0])))
    key = np.array([[2024, int(update)]], dtype=np.uint32)
    zeros = np.zeros(chains)
    lanes = Lanes(zeros, zeros, np.arange(chains), np.repeat(key, chains, axis=0))
    start = initial.empty(plan, chains)
    for g, group in enumerate(plan.groups):
        start.x[group.name][:] = initial.random(plan, lanes, g, np.arange(chains), 1.0, 0.0)
    held = sampler.step(sampler.init(start, lanes), discard)
    series = np.empty((3, chains, sweeps))
    for t in range(sweeps):
        held = sampler.step(held, 1)
        v = held.configurations.x["v"]
        series[:, :, t] = [v[:, u].mean(axis=1, dtype=np.float64) for u in units]
    return series


few = shown[::2]
chi, tau, tau_error, pulls, apart = (np.empty((len(few), 3)) for _ in range(5))
for row, i in enumerate(few):
    m = sampled(age[i])
    sign = np.sign(m)
    shares = [
        np.mean((1 + second * sign[0] * sign[1]) * (1 + third * sign[0] * sign[2])) / 4
        for second, third in PAIRS
    ]
    chi[row] = SIZES * np.abs(m).var(axis=(1, 2))
    time = integrated_time(np.abs(m))
    tau[row], tau_error[row] = time.tau, time.stderr
    # exact within every pair of states, weighted as these chains are spread over them
    apart[row] = (m**2).mean(axis=(1, 2)) - np.array(shares) @ squares[np.searchsorted(shown, i)]
    pulls[row] = apart[row] / ((m**2).mean(axis=2).std(axis=1, ddof=1) / np.sqrt(m.shape[1]))
print(
    f"fresh chains against exact sums: {pulls.size} values of <m^2>, mean square pull "
    f"{np.mean(pulls**2):.2f}, largest {np.abs(pulls).max():.1f}, distance {np.abs(apart).max():.4f}"
)
for a in range(3):
    peak, slow, top = chi[:, a].argmax(), tau[:, a].argmax(), susceptibility[:, a].argmax()
    print(
        f"direction {a + 1}: chi largest at update {age[few][peak]}, {chi[peak, a]:.2f} (exact: "
        f"{age[shown][top]}, {susceptibility[top, a]:.2f}); tau of |m| at {age[few][slow]}, "
        f"{tau[slow, a]:.2f}({tau_error[slow, a]:.2f})"
    )

# %% The first direction alone, couplings scaled through its transition, in machines r times as large
nearest = int(np.abs(gains[0] - 1.0).argmin())
first = mean_couplings(couplings[nearest])[:1] / singular[0, nearest]
scaled = np.linspace(0.61, 1.49, 45)  # not 1 itself, where mean field takes for ever
growth = {}
for r in (1, 4, 16):
    machine = np.tile(first, r) / r  # r copies of every unit on either side, couplings smaller by r
    held = [block_distribution(w * machine, [SIZES[0] * r]) for w in scaled]
    growth[r] = np.array([d.average(np.square)[0] for d in held])
    print(f"n = {SIZES[0] * r}: <m^2> at w = 1 is {np.interp(1.0, scaled, growth[r]):.4f}")
machine = np.repeat(first, SIZES[0], axis=0)
endless = [mean_field(w * machine, np.ones(SIZES[0]))[0].mean() ** 2 for w in scaled]

# %% The figure
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 4.4), layout="constrained")
    (order, unstable, rounded), (response, slow, share) = fig.subplots(2, 3)
    timed = (order, unstable, response, slow, share)
    for a, colour in enumerate(plots.COLOURS[:3]):
        points = {"color": colour, "marker": plots.MARKERS[a], "linestyle": "", "markersize": 2.5}
        order.plot(age[shown], modes[shown, a], **points)
        order.plot(age[shown], alike[:, a], color=colour)
        order.plot(age[shown], infinite[:, a], color=colour, linestyle="--", linewidth=0.7)
        unstable.plot(age[1:], gains[a, 1:], color=colour)
        response.plot(age[few], chi[:, a], **points)
        response.plot(age[shown], susceptibility[:, a], color=colour)
        slow.errorbar(age[few], tau[:, a], tau_error[:, a], elinewidth=0.7, **points)
        for ax in timed:
            top = 0.58 if ax is share else 1.0  # below the legend
            ax.axvline(transitions[a], ymax=top, color=colour, linewidth=0.7, linestyle=":")
    unstable.plot(age[1:], other[1:], color=plots.COLOURS[2], linewidth=0.6, linestyle="--")
    unstable.axhline(1.0, color="0.4", linewidth=0.7)
    frozen = training["chain_tau"].values
    sure = training["chain_tau_reliable"].values == 1
    slow.plot(age[sure], frozen[sure], color="0.5", linewidth=0.8)
    bound = ~sure & (age > 100)
    slow.plot(age[bound], frozen[bound], color="0.5", linestyle="", marker="^", markersize=2)
    for pair, colour in enumerate(plots.COLOURS[3:]):
        share.plot(age[shown], weights[:, pair], color=colour, linewidth=0.8, label=NAMES[pair])
    share.axhline(0.25, color="0.4", linewidth=0.7)
    share.legend(loc="upper left")
    for r, shade in zip(growth, (plots.COLOURS[0], "0.5", "0.75")):
        rounded.plot(scaled, growth[r], color=shade, label=f"$n$ = {SIZES[0] * r}")
    rounded.plot(scaled, endless, color="black", linestyle="--", linewidth=0.7, label="infinite")
    rounded.plot(
        gains[0], modes[:, 0], linestyle="", marker="o", color=plots.COLOURS[0], markersize=2.5
    )
    rounded.set(xlim=(0.7, 1.3), ylim=(-0.02, 0.4), xlabel="gain $w$ of the first direction")
    rounded.set_ylabel(r"$\langle m_1^2 \rangle$")
    rounded.legend(loc="upper left")
    for ax in timed:
        ax.set(xscale="log", xlim=(180, age[-1] * 1.1))
        ax.set_xticks([200, 500, 1000, 2000, 4000], labels=["200", "500", "1000", "2000", "4000"])
        ax.minorticks_off()
    order.set(ylabel=r"$\langle m_a^2 \rangle$")
    unstable.set(ylim=(0, 2), ylabel="gain of the state before")
    response.set(ylabel=r"$\chi_a = n_a(\langle m_a^2\rangle - \langle |m_a| \rangle^2)$")
    slow.set(yscale="log", ylabel=r"$\tau$ of $|m_a|$ [sweep]")
    share.set(ylim=(0, 1), ylabel="weight of a pair of states")
    for ax in (response, slow, share):
        ax.set_xlabel("training time $t$ [update]")
    kinds = {
        "chains": {"marker": "o", "linestyle": "", "markersize": 3},
        "exact sum": {},
        "infinite size": {"linestyle": "--", "linewidth": 0.7},
        "gain = 1": {"linestyle": ":", "linewidth": 0.7},
    }
    lines = [Line2D([], [], color="0.3", **style) for style in kinds.values()]
    fig.legend(lines, kinds, loc="outside upper center", ncols=4)
    plots.save(fig, HERE / "figures" / "learning_transitions.png", dpi=170)
