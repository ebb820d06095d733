# %% [markdown]
"""Which phase of a Hopfield network has the lower free energy?

Claim: the free energy of the retrieval branch, integrated from T = 0, and that of the branch without
retrieval, integrated from infinite temperature, cross at loads up to 0.05 and not at 0.08 and 0.12, as
the line T_c of Amit, Gutfreund and Sompolinsky says; T_c is theirs within about two standard errors up
to a load of 0.04 and higher at 0.05. Between T_c and T_M retrieval is metastable. With the overlap of
two replicas this gives a phase at every point.

Why higher: the free energy of the glass is an upper bound, for below T_g runs from a random state are
not equilibrated; at finite N it lies above its limit; and the replica symmetry of the theory puts it
too low. All three raise T_c, most where the two energies differ least. Runs from a random state that
found a pattern are no glass and are left out of the integral. Energies have no term i = j, here and in
the theory.

Theory: D. J. Amit, H. Gutfreund and H. Sompolinsky, Ann. Phys. 173, 30 (1987), replica symmetric. At
T_g of a mean-field glass q^2 falls as N^(-2/3): G. Parisi, F. Ritort and F. Slanina, J. Phys. A 26, 247
(1993).
Study: studies/hopfield_branches.toml
"""

# %%
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy.interpolate import CubicHermiteSpline

from physebm import plots
from physebm.free_energy.branches import crossing, from_infinite_temperature, from_zero_temperature
from physebm.plots.places import edges
from physebm.plots.theory_lines import outlined
from physebm.theory import hopfield

ROOT = Path(__file__).resolve().parent.parent
FIGURES = Path(__file__).parent / "figures"
RESULT = ROOT / "results" / "hopfield_branches.nc"
ds = xr.open_dataset(RESULT)
N = int(xr.open_dataset(RESULT, group="parameters")["N"])
P = np.round(ds["alpha"].values * N)
loads, samples = P / N, ds.sizes["disorder"]
T = ds["temperature"].values
half = (
    np.array([hopfield.retrieval(a, (1 - 1e-9) * hopfield.spinodal_temperature(a)).m for a in loads])
    / 2
)


def mean_and_error(values, stderr):
    """Over samples, the first axis; the scatter of few is no smaller than the errors of their runs."""
    count = np.isfinite(values).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, axis=0) / count
        spread = np.sqrt(np.nansum((values - mean) ** 2, axis=0) / (count - 1) / count)
        own = np.sqrt(np.nansum(stderr**2, axis=0)) / count
    return np.where(count > 0, mean, np.nan), np.fmax(spread, own)


# %% The branches of every sample. Below T_g slopes of e are differences of energies: fluctuations of
# runs that are stuck in several states are not those of an equilibrium.
def without_retrieval(warm, i):
    """The branch of runs from random states at load number i, and which of them found a pattern."""
    found = warm["max_pattern_overlap"].values > half[i]
    ergodic = T >= hopfield.glass_temperature(loads[i])
    curvature = np.where(ergodic, warm["specific_heat"] * T**2, np.nan)
    rows = (1 / T, warm["energy"].values, warm["energy_stderr"].values, curvature)
    zero = P[i] * (N - 1) / (2 * N**2)
    return from_infinite_temperature(*(row[~found] for row in rows), curvature_0=zero), found


stored, glass, found = {}, {}, np.zeros((len(loads), samples, len(T)), dtype=bool)
for i in range(len(loads)):
    for j in range(samples):
        runs = ds.isel(alpha=i, disorder=j)
        cold, warm = (runs.sel(start=start) for start in ("pattern", "random"))
        e, error = cold["energy"].values, cold["energy_stderr"].values
        kept = np.cumprod(cold["retrieval_overlap"].values > half[i]).astype(bool)
        if kept.sum() > 1:
            most = max((e[1] - e[0]) / (T[1] - T[0]), 0)  # s < c there, and c rises at least as T
            known = {"entropy": most / 2, "entropy_error": most / 2}
            stored[i, j] = from_zero_temperature(1 / T[kept], e[kept], error[kept], **known)
        glass[i, j], found[i, j] = without_retrieval(warm, i)


# %% Free energies on the grid [sample, alpha, temperature], also at rows that were left out
def on_grid(branches):
    f, error, rule = np.full((3, samples, len(loads), len(T)), np.nan)
    for (i, j), branch in branches.items():
        inside = (T <= 1.0001 / branch.beta[branch.beta > 0].min()) & (
            1 / T <= 1.0001 * branch.beta[-1]
        )
        beta = 1 / T[inside]
        log_z = CubicHermiteSpline(branch.beta, branch.log_z, -branch.energy)(beta)
        f[j, i, inside] = -log_z / beta
        error[j, i, inside] = np.interp(beta, branch.beta, branch.stderr) / beta
        rule[j, i, inside] = np.interp(beta, branch.beta, branch.discretisation) / beta
    return f, error, rule


f_stored, error_stored, rule_stored = on_grid(stored)
f_glass, error_glass, rule_glass = on_grid(glass)
gap, gap_error = mean_and_error(f_stored - f_glass, np.hypot(error_stored, error_glass))
theory = np.array([[hopfield.spin_glass(a, t).free_energy for t in T] for a in loads])
states = [[hopfield.retrieval(a, t) for t in T] for a in loads]
theory_stored = np.array([[s.free_energy if s else np.nan for s in row] for row in states])
for name, f, known in (("retrieval", f_stored, theory_stored), ("glass", f_glass, theory)):
    apart = mean_and_error(f, 0 * f)[0] - known
    for text, where in (
        ("T <= 0.3", T <= 0.3),
        ("0.3 < T < 1", (T > 0.3) & (T < 1)),
        ("T >= 1", T >= 1),
    ):
        if np.isfinite(part := apart[:, where]).any():
            print(f"f of {name}, {text}: minus theory, mean {np.nanmean(part):+.5f}, ", end="")
            print(f"largest {np.nanmax(np.abs(part)):.5f} ({np.isfinite(part).sum()} points)")
print(
    f"largest discretisation: retrieval {np.nanmax(rule_stored):.5f}, glass {np.nanmax(rule_glass):.5f}"
)
lost = found & (T < hopfield.spinodal_temperature(loads)[:, None, None])
below = (T < hopfield.spinodal_temperature(loads)[:, None]).sum(axis=1) * samples
print("runs from random states that found a pattern below T_M:", *lost.sum(axis=(1, 2)), "of", *below)

# %% Where they cross; the same rows and rule with energies of the theory tell what the rule is worth
line = hopfield.transition_temperature(loads)


def crossing_of_theory(load):
    cold = T[T < hopfield.spinodal_temperature(load)]
    ordered = from_zero_temperature(1 / cold, [hopfield.retrieval(load, t).energy for t in cold])
    return crossing(
        ordered, from_infinite_temperature(1 / T, [hopfield.spin_glass(load, t).energy for t in T])
    )


shifts = [crossing_of_theory(a).temperature - t for a, t in zip(loads, line) if np.isfinite(t)]
print("the rule moves the T_c of the theory by", *(f"{shift:+.4f}" for shift in shifts))
T_c, T_c_error = np.full((2, len(loads)), np.nan)
for i, load in enumerate(loads):
    both = [j for j in range(samples) if (i, j) in stored]
    here = [at for j in both if (at := crossing(stored[i, j], glass[i, j])) is not None]
    print(f"P/N = {load:.4f}: AGS T_c = {line[i]:.4f}; ", end="")
    if not here:
        print(f"no crossing in {len(both)} samples")
        continue
    places, own = np.array([at.temperature for at in here]), np.array([at.stderr for at in here])
    T_c[i], T_c_error[i] = mean_and_error(places, own)
    latent, shift = (
        np.mean([getattr(at, key) for at in here]) for key in ("latent_energy", "discretisation")
    )
    print(
        f"{T_c[i]:.4f} +- {T_c_error[i]:.4f} in {len(here)} of {len(both)} samples {places.round(4)}, ",
        end="",
    )
    print(f"runs alone {np.mean(own):.4f}, discretisation {shift:.4f}, latent energy {latent:.4f}")

# %% The same from runs eight times as long, where they were made (the command is in the study)
LONG = RESULT.with_name("hopfield_branches_long.nc")
if LONG.exists():
    longer = xr.open_dataset(LONG).isel(alpha=0, start=0)
    i = int(np.argmin(np.abs(ds["alpha"].values - longer["alpha"].item())))
    slow = [without_retrieval(longer.isel(disorder=j), i)[0] for j in range(samples)]
    here = [crossing(stored[i, j], slow[j]) for j in range(samples)]
    place, error = mean_and_error(
        *(np.array([getattr(at, key) for at in here]) for key in ("temperature", "stderr"))
    )
    print(
        f"P/N = {loads[i]:.4f}, longer runs: T_c = {place:.4f} +- {error:.4f}; f of the glass lower by",
        end="",
    )
    for t in (T_c[i], T[0]):
        pairs = [(glass[i, j], slow[j]) for j in range(samples)]
        f = [[np.interp(1 / t, b.beta[1:], b.free_energy[1:]) for b in pair] for pair in pairs]
        print(f" {-np.mean(np.diff(f)):.4f} at T = {t:.2f}", end="")
    print()

# %% The phase
LEAST = N ** (-2 / 3)
q2 = (
    ds["replica_overlap_squared"]
    .sel(start="random")
    .transpose("disorder", "alpha", "temperature")
    .values
)
q2 = mean_and_error(np.where(found.transpose(1, 0, 2), np.nan, q2), 0 * q2)[0]
m = (
    ds["retrieval_overlap"]
    .sel(start="pattern")
    .mean("disorder")
    .transpose("alpha", "temperature")
    .values
)
keeps = np.isfinite(f_stored).sum(axis=0) > samples / 2
phase = np.where(q2 < LEAST, 1, 2)
phase = np.where(keeps, np.where(gap < 0, 4, 3), phase)
phase[keeps & np.isnan(gap)] = 0
NAMES = ("paramagnet", "spin glass", "metastable retrieval", "retrieval")
RULE = (
    "retrieval where runs from the pattern keep it (overlap above half of what theory has at T_M, here "
    "and at every lower temperature, in more than half of the samples) and their free energy is the "
    "lower; metastable retrieval where they keep it and the branch from infinite temperature has the "
    "lower; else paramagnet where replica_overlap_squared of runs from random states is below N^(-2/3) "
    f"= {LEAST:.4f}, and spin glass above; 0 where they keep it and the other branch has no free energy"
)
flags = {
    "flag_values": np.arange(5, dtype=np.int8),
    "flag_meanings": "undetermined paramagnet spin_glass metastable_retrieval retrieval",
    "rule": RULE,
}
bound = "; below T_g an upper bound, from runs that are not equilibrated"
f_1, f_2 = mean_and_error(f_stored, error_stored), mean_and_error(f_glass, error_glass)
table = (
    ("free_energy_retrieval", *f_1, "free energy per unit of retrieval, from the coldest row"),
    ("free_energy_glass", *f_2, "free energy per unit without retrieval, from beta = 0" + bound),
    ("free_energy_gap", gap, gap_error, "free energy per unit, retrieval minus the other branch"),
    ("retrieval_overlap", m, None, "overlap of runs from the pattern"),
    ("replica_overlap_squared", q2, None, "<q^2> of runs from random states that found no pattern"),
    ("transition_temperature", T_c, T_c_error, "temperature at which the branches cross"),
    ("load", loads, None, "P/N"),
)
out = xr.Dataset(coords={"alpha": ds["alpha"].values, "temperature": T})
out["phase"] = (("alpha", "temperature"), phase.astype(np.int8), {"long_name": "phase"} | flags)
for name, values, error, text in table:
    dims = ("alpha", "temperature")[: values.ndim]
    out[name] = (dims, values, {"long_name": text, "units": "1"})
    if error is not None:
        out[name + "_stderr"] = (dims, error, {"long_name": f"standard error of {name}", "units": "1"})
        out[name].attrs["ancillary_variables"] = name + "_stderr"
out.attrs = {"title": "Phases of the Hopfield model from free energies", "N": N, "samples": samples}
out.to_netcdf(ROOT / "results" / "hopfield_branches_phase.nc")

# %% Against the phases of the theory
expected = np.where(T[None, :] >= hopfield.glass_temperature(loads)[:, None], 1, 2)
expected = np.where(T[None, :] < hopfield.spinodal_temperature(loads)[:, None], 3, expected)
expected = np.where(T[None, :] < line[:, None], 4, expected)
print(f"phase as in the theory at {np.sum(phase == expected)} of {phase.size} points; others:")
for i, k in np.argwhere(phase != expected):
    names = ["undetermined", *NAMES]
    print(
        f"  P/N = {loads[i]:.3f}, T = {T[k]:.2f}: {names[phase[i, k]]}, AGS {names[expected[i, k]]}; ",
        end="",
    )
    print(f"gap {gap[i, k]:+.4f} +- {gap_error[i, k]:.4f}, q^2 {q2[i, k]:.4f}, m {m[i, k]:.2f}")

# %% The free energies
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.9), layout="constrained")
    left, right = fig.subplots(1, 2)
    place = int(np.argmin(np.abs(loads - 0.04)))
    fine = np.linspace(0.01, 1.0, 120)
    for number, (name, f, error, solution) in enumerate(
        (
            ("retrieval, from $T = 0$", f_stored, error_stored, hopfield.retrieval),
            ("no retrieval, from $T = \\infty$", f_glass, error_glass, hopfield.spin_glass),
        )
    ):
        colour, marker = plots.COLOURS[number], plots.MARKERS[number]
        mean, error = (part[place] for part in mean_and_error(f, error))
        style = {
            "color": colour,
            "marker": marker,
            "linestyle": "",
            "markersize": 3.5,
            "elinewidth": 0.7,
        }
        left.errorbar(T, mean, error, **style, label=name)
        curve = [getattr(solution(loads[place], t), "free_energy", np.nan) for t in fine]
        left.plot(fine, curve, color=colour, linewidth=0.9)
    left.axvline(line[place], ymin=0.2, color="0.5", linestyle=":", linewidth=0.8)
    left.set(
        xlabel="temperature $T$", ylabel="free energy per unit $f$", xlim=(0, 0.8), ylim=(-0.66, -0.42)
    )
    left.set_title(f"$P/N$ = {loads[place]:.3f}; lines: AGS, dotted: their $T_c$")
    left.legend(loc="lower left")
    for i, load in enumerate(loads):
        colour, marker = plots.COLOURS[i], plots.MARKERS[i]
        style = {
            "color": colour,
            "marker": marker,
            "linestyle": "",
            "markersize": 3.5,
            "elinewidth": 0.7,
        }
        right.errorbar(T, gap[i], gap_error[i], **style, label=f"$P/N$ = {load:.3f}")
        fine = np.linspace(0.01, (1 - 1e-6) * hopfield.spinodal_temperature(load), 80)
        curve = [
            hopfield.retrieval(load, t).free_energy - hopfield.spin_glass(load, t).free_energy
            for t in fine
        ]
        right.plot(fine, curve, color=colour, linewidth=0.9)
    right.axhline(0, color="0.5", linewidth=0.7)
    right.set(
        xlabel="temperature $T$", ylabel="$f$ of retrieval less $f$ of the other branch", xlim=(0, 0.8)
    )
    right.legend(ncols=2, loc="upper right", columnspacing=1.0)
    plots.save(fig, FIGURES / "hopfield_branches.png", dpi=200)

# %% The phase over load and temperature
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.COLUMN, 3.3), layout="constrained")
    ax = fig.subplots()
    palette = ["0.85", "#F0E8D8", "#56B4E9", "#E69F00", "#009E73"]
    scale = {"cmap": ListedColormap(palette), "norm": BoundaryNorm(np.arange(-0.5, 5.5), 5)}
    ax.pcolormesh(edges(loads), edges(T), phase.T, **scale, rasterized=True)
    alpha = np.linspace(1e-4, 0.1379, 300)
    lines = (("$T_g$", hopfield.glass_temperature), ("$T_M$", hopfield.spinodal_temperature))
    for number, (label, f) in enumerate((*lines, ("$T_c$", hopfield.transition_temperature))):
        ax.plot(alpha, f(alpha), **outlined(number), label=label)
    style = {
        "color": "black",
        "marker": "o",
        "linestyle": "",
        "markersize": 3.5,
        "markerfacecolor": "white",
    }
    ax.errorbar(loads, T_c, T_c_error, **style, label="branches cross")
    ax.set(xlim=edges(loads)[[0, -1]], ylim=(edges(T)[0], 1.5))
    ax.set(xlabel="load $P/N$", ylabel="temperature $T$")
    handles = [
        Patch(facecolor=palette[k + 1], edgecolor="0.4", label=name) for k, name in enumerate(NAMES)
    ]
    fig.legend(handles=handles, loc="outside upper center", ncols=2, columnspacing=1.0)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4, columnspacing=1.0)
    plots.save(fig, FIGURES / "hopfield_branches_phase.png", dpi=200)
