# %% [markdown]
"""Where a Hopfield network remembers: the phase diagram over load and temperature.

Claim: runs that start in a stored pattern keep it below the spinodal line T_M(alpha) of Amit,
Gutfreund and Sompolinsky, with the overlap m(alpha, T) of their theory, and lose it above; runs that
start at random find no pattern except at the smallest loads. T_M is where a metastable state
disappears, so it is measured without tempering. All lines are evaluated at the realised load P/N.

Theory: D. J. Amit, H. Gutfreund and H. Sompolinsky, Ann. Phys. 173, 30 (1987), replica symmetric.
Study: studies/hopfield_phase.toml
"""

# %%
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from physebm import plots
from physebm.study.figures import Drawn
from physebm.theory import hopfield

ROOT = Path(__file__).resolve().parent.parent
FIGURES = Path(__file__).parent / "figures"
RESULT = ROOT / "results" / "hopfield_phase.nc"
ds = xr.open_dataset(RESULT)
parameters = xr.open_dataset(RESULT, group="parameters")

# %% The phase diagram is the study's own figure
drawn = Drawn(RESULT)
diagram = next(plot for plot in drawn.study.plots if plot.kind == "phase_diagram")
plots.save(drawn.figure(diagram, "phase_diagram"), FIGURES / "hopfield_phase.png", dpi=200)

# %% Overlap from the pattern against theory, at the realised loads
units = int(parameters["N"])
patterns = np.round(ds["alpha"].values * units)
loads = patterns / units
T = ds["temperature"].values
m = ds["retrieval_overlap"].sel(start="pattern")
mean = m.mean("disorder").values
error = (m.std("disorder", ddof=1) / np.sqrt(m.sizes["disorder"])).values
theory = np.array([hopfield.retrieval_overlap(load, T) for load in loads])
spinodal = hopfield.spinodal_temperature(loads)

distance = T[None, :] - spinodal[:, None]
deep = distance < -0.15
gap = (mean - theory)[deep]
print(f"{deep.sum()} points more than 0.15 below T_M: m - AGS mean {gap.mean():+.4f}, ", end="")
print(f"median of the size {np.median(np.abs(gap)):.4f}, largest {np.abs(gap).max():.4f}")
above = distance > 0.1
print(f"{above.sum()} points more than 0.1 above T_M: largest m {mean[above].max():.2f}")
near = np.abs(distance + 0.025) < 0.125
print(f"{near.sum()} points between: m from {mean[near].min():.2f} to {mean[near].max():.2f}")
beyond = np.isnan(distance) & (T > 0.1)
print(f"{beyond.sum()} points beyond alpha_c and T > 0.1: largest m {mean[beyond].max():.2f}; ", end="")
print(f"at T = {T[0]}: {mean[np.isnan(spinodal), 0]}")

# %% The figure
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.COLUMN, 2.9), layout="constrained")
    ax = fig.subplots()
    shown = np.array((0, 1, 2, 3, 5))
    for number, place in enumerate(shown):
        # side by side where points of one temperature would cover each other, the middle load in place
        near = np.abs(mean[shown] - mean[place]) < 0.06
        beside = T + np.where(near.sum(axis=0) > 1, 0.011 * (number - 2), 0.0)
        colour, marker = plots.COLOURS[number], plots.MARKERS[number]
        style = {"color": colour, "marker": marker, "linestyle": "", "elinewidth": 0.7}
        label = f"$P/N$ = {loads[place]:.3f}"
        ax.errorbar(beside, mean[place], error[place], **style, markersize=3, label=label)
        end = spinodal[place] * (1 - 1e-9)
        fine = end - (end - 0.01) * np.linspace(1, 0, 60) ** 2
        ax.plot(fine, hopfield.retrieval_overlap(loads[place], fine), color=colour, linewidth=0.9)
    ax.plot([], [], color="0.3", linewidth=0.9, label="AGS, up to $T_M$")
    ax.set(xlabel="temperature $T$", ylabel="overlap $m$ from the pattern", xlim=(0, 1.27))
    fig.legend(loc="outside upper center", ncols=2, columnspacing=1.0, handletextpad=0.4)
    plots.save(fig, FIGURES / "hopfield_phase_overlap.png", dpi=200)
