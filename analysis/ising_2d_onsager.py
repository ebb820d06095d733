# %% [markdown]
"""The Monte Carlo code reproduces the exactly solved Ising model, at every size and temperature.

Claim: energy and specific heat on the L x L torus, L = 8 to 64, agree with Kaufman's exact values
within their error bars (lowest panels: pulls, which should scatter like a standard normal), and the
Binder cumulants of different sizes cross at Onsager's T_c = 2 / log(1 + sqrt 2).

Theory: B. Kaufman, Phys. Rev. 76, 1232 (1949); L. Onsager, Phys. Rev. 65, 117 (1944).
Study: studies/ising_2d_onsager.toml
"""

# %%
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy.interpolate import PchipInterpolator

from physebm import plots
from physebm.theory import ising2d

ROOT = Path(__file__).resolve().parent.parent
ds = xr.open_dataset(ROOT / "results" / "ising_2d_onsager.nc")
temperature, sizes = ds["temperature"].values, ds["L"].values

# %% Exact values at every point, and the pull of every point
exact = {"energy": ising2d.torus_energy, "specific_heat": ising2d.torus_specific_heat}
pulls = {}
for name, function in exact.items():
    truth = np.array([function(1 / temperature, int(size)) for size in sizes])
    pulls[name] = (ds[name].values - truth) / ds[f"{name}_stderr"].values
    worst, mean_square = np.abs(pulls[name]).max(), (pulls[name] ** 2).mean()
    print(
        f"{name}: {pulls[name].size} points, largest |pull| {worst:.2f}, mean square {mean_square:.2f}"
    )


# %% Where the Binder cumulants of neighbouring sizes cross
def crossing(small: int, large: int, draws: int = 400) -> tuple[float, float]:
    """Root next to T_c of the interpolated difference; error by drawing the points anew."""
    pair = [ds.sel(L=size) for size in (small, large)]
    gap = pair[1]["binder"].values - pair[0]["binder"].values
    error = np.hypot(pair[0]["binder_stderr"].values, pair[1]["binder_stderr"].values)
    noise = np.random.Generator(np.random.PCG64(0)).normal(size=(draws, len(gap)))
    near = (temperature > 2.21) & (temperature < 2.33)
    roots = [
        PchipInterpolator(temperature[near], each[near]).solve(extrapolate=False)
        for each in (gap, *(gap + error * noise))
    ]
    found = [root[np.abs(root - ising2d.CRITICAL_TEMPERATURE).argmin()] for root in roots if len(root)]
    return float(found[0]), float(np.std(found[1:]))


for small, large in pairwise(map(int, sizes)):
    where, error = crossing(small, large)
    print(f"Binder crossing of L = {small}, {large}: T = {where:.4f} +- {error:.4f}")

# %% The figure
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 3.4), layout="constrained")
    top, bottom = fig.subplots(2, 3, height_ratios=[3, 1.2])
    fine = np.linspace(temperature.min(), temperature.max(), 400)
    handles = []
    for size, colour, marker in zip(sizes, plots.COLOURS, plots.MARKERS):
        part = ds.sel(L=size)
        style = {"color": colour, "marker": marker, "markersize": 2.5, "linestyle": ""}
        for ax, name in zip(top, ("energy", "specific_heat", "binder")):
            bars = ax.errorbar(
                temperature, part[name].values, part[f"{name}_stderr"].values, elinewidth=0.7, **style
            )
            if name in exact:
                ax.plot(fine, exact[name](1 / fine, int(size)), color=colour, linewidth=0.8)
        handles.append((bars, f"$L$ = {size}"))
        for ax, name in zip(bottom, pulls):
            ax.plot(temperature, pulls[name][list(sizes).index(size)], **style)
        if size > sizes[0]:
            gap = part["binder"] - ds["binder"].sel(L=sizes[0])
            spread = np.hypot(part["binder_stderr"], ds["binder_stderr"].sel(L=sizes[0]))
            style |= {"linestyle": "-", "linewidth": 0.6}
            bottom[2].errorbar(temperature, gap, spread, elinewidth=0.7, **style)
    for ax in (top[2], bottom[2]):
        ax.axvline(ising2d.CRITICAL_TEMPERATURE, color="0.4", linewidth=0.7, linestyle=":")
    words = ("energy per spin", "specific heat", "Binder cumulant")
    for ax, word, name in zip(top, words, ("energy", "specific_heat", "binder")):
        ax.set_ylabel(f"{word} ${ds[name].attrs['symbol']}$")
    for ax in bottom[:2]:
        ax.axhspan(-2, 2, color="0.9", zorder=0)
        ax.set(ylim=(-4, 4), yticks=[-2, 0, 2], ylabel="pull")
    bottom[2].axhline(0, color="0.4", linewidth=0.7)
    bottom[2].set(ylabel="$U_4 - U_4(8)$", xlim=(2.19, 2.36), ylim=(-0.11, 0.06))
    for ax in top[:2]:
        ax.tick_params(labelbottom=False)
    for ax in bottom:
        ax.set_xlabel("temperature $T$")
    line = mpl.lines.Line2D([], [], color="0.3", linewidth=0.8)
    fig.legend(
        [bars for bars, _ in handles] + [line],
        [label for _, label in handles] + ["Kaufman (exact)"],
        loc="outside upper center",
        ncols=5,
    )
    plots.save(fig, Path(__file__).parent / "figures" / "ising_2d_onsager.png", dpi=200)
