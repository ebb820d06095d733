# %% [markdown]
"""The three-dimensional +-J spin glass has a transition: xi/L of different sizes cross.

Claim: the second-moment correlation length over L, which does not depend on L at a transition,
crosses for L = 4, 6, 8 between T = 1.0 and 1.3. The Binder ratio of the overlap is shown, nothing is
claimed of it: its crossing is shallow at these sizes.

Theory: none in closed form; large-scale simulations give T_c = 1.1019(29) (M. Baity-Jesi et al.,
Phys. Rev. B 88, 224416 (2013)), the dotted line.
Study: studies/ea_3d_tempering.toml
"""

# %%
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy.interpolate import PchipInterpolator

from physebm import plots

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "results" / "ea_3d_tempering.nc"
ds = xr.open_dataset(RESULT)
tempering = xr.open_dataset(RESULT, group="tempering")
T, sizes = ds["temperature"].values, ds["L"].values
T_C = 1.1019

# %% Did the ladders work, did the runs equilibrate
for size in sizes:
    at = (
        tempering.sel(L=size) if "L" in tempering.indexes else tempering.isel(L=list(sizes).index(size))
    )
    unequal = int((ds["equilibration"].sel(L=size) == 2).sum())
    print(f"L = {size}: least swap acceptance {float(at['swap_acceptance'].min()):.2f}, ", end="")
    print(f"median round trips {float(at['round_trips'].median()):.0f}, ", end="")
    print(f"not equilibrated {unequal} of {ds['equilibration'].sel(L=size).size} points")


# %% Crossings, errors by drawing the points anew
def crossing(small: int, large: int, draws: int = 400) -> tuple[float, float, float]:
    """Temperature where the interpolated difference vanishes, its error, share of draws that cross."""
    name = "correlation_length_over_L"
    one, other = ds.sel(L=small), ds.sel(L=large)
    gap = other[name].values - one[name].values
    error = np.hypot(one[f"{name}_stderr"].values, other[f"{name}_stderr"].values)
    noise = np.random.Generator(np.random.PCG64(0)).normal(size=(draws, len(gap)))
    found = []
    for each in (gap, *(gap + error * noise)):
        roots = PchipInterpolator(T, each).solve(extrapolate=False)
        # The warmest one: below it the larger size is the more correlated.
        found.append(roots.max() if len(roots) else np.nan)
    return found[0], float(np.nanstd(found[1:])), float(np.isfinite(found[1:]).mean())


for small, large in combinations(map(int, sizes), 2):
    where, error, share = crossing(small, large)
    print(f"xi/L of L = {small} and {large} cross at T = {where:.3f} +- {error:.3f}", end=" ")
    print(f"({share:.0%} of draws cross)")

# %% The figure
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.8), layout="constrained")
    left, right = fig.subplots(1, 2)
    for number, size in enumerate(sizes):
        style = {
            "color": plots.COLOURS[number],
            "marker": plots.MARKERS[number],
            "linestyle": "-",
            "linewidth": 0.6,
            "elinewidth": 0.7,
            "markersize": 3,
        }
        for ax, name in ((left, "correlation_length_over_L"), (right, "binder_overlap")):
            part = ds.sel(L=size)
            label = f"$L$ = {size}" if ax is left else None
            ax.errorbar(T, part[name].values, part[f"{name}_stderr"].values, label=label, **style)
    for ax, name in ((left, r"$\xi / L$"), (right, "Binder ratio $g$")):
        ax.axvline(T_C, color="0.4", linestyle=":", linewidth=0.8)
        ax.set(xlabel="temperature $T$", ylabel=name)
    left.axvspan(1.0, 1.3, color="0.93", zorder=0)
    inset = left.inset_axes([0.53, 0.45, 0.43, 0.44])
    name = "correlation_length_over_L"
    relative = ds[f"{name}_stderr"] / ds[name]
    for number, size in enumerate(sizes[1:], 1):
        ratio = ds[name].sel(L=size) / ds[name].sel(L=sizes[0])
        spread = ratio * np.hypot(relative.sel(L=size), relative.sel(L=sizes[0]))
        style = {"color": plots.COLOURS[number], "marker": plots.MARKERS[number]}
        inset.errorbar(T, ratio, spread, linewidth=0.6, elinewidth=0.7, markersize=3, **style)
    inset.axhline(1.0, color=plots.COLOURS[0], linewidth=0.7)
    inset.axvspan(1.0, 1.3, color="0.93", zorder=0)
    inset.set(xlim=(0.87, 1.39), ylim=(0.88, 1.12))
    inset.tick_params(labelsize=6)
    inset.set_title("ratio to $L$ = 4", fontsize=7, pad=2)
    fig.legend(loc="outside upper center", ncols=3)
    plots.save(fig, Path(__file__).parent / "figures" / "ea_3d_tempering.png", dpi=200)
