# %% [markdown]
"""Above the spinodal a trace of the pattern remains for a while: remanence, not retrieval.

Claim: at load P/N = 1/16, T_M = 0.483, runs from the pattern follow the theory's overlap well below
T_M. Above it the overlap is far below the spinodal value 0.855, and it falls with the length of
the run and with N, so that it vanishes in the limit where the theory lives. Between lies a region
smeared by the finite size: just below T_M small networks escape over barriers that grow with N,
and m rises with N towards the theory; just above T_M some samples still hold their pattern.

Theory: D. J. Amit, H. Gutfreund and H. Sompolinsky, Ann. Phys. 173, 30 (1987), replica symmetric.
Study: studies/hopfield_remanence.toml
"""

# %%
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from physebm import plots
from physebm.theory import hopfield

ROOT = Path(__file__).resolve().parent.parent
ds = xr.open_dataset(ROOT / "results" / "hopfield_remanence.nc")
LOAD = 1 / 16
T_M = hopfield.spinodal_temperature(LOAD)
m_spinodal = hopfield.retrieval_overlap(LOAD, T_M * (1 - 1e-9))
print(f"T_M = {T_M:.4f}, m at T_M = {m_spinodal:.4f}")

# %% Every sample is one draw of patterns: mean and error over samples
m = ds["retrieval_overlap"]
mean = m.mean("disorder")
error = m.std("disorder", ddof=1) / np.sqrt(m.sizes["disorder"])
for temperature in ds["temperature"].values:
    print(f"T = {temperature:.2f}  AGS {hopfield.retrieval_overlap(LOAD, temperature):.4f}")
    for size in ds["N"].values:
        at = {"N": size, "temperature": temperature}
        texts = [
            f"{float(mean.sel({**at, 'sweeps': n})):.3f}+-{float(error.sel({**at, 'sweeps': n})):.3f}"
            for n in ds["sweeps"].values
        ]
        print(f"   N = {size:5d}  m = " + "  ".join(texts))

# %% Above T_M: averaged over the temperatures there, sample by sample (they share their patterns)
above = m.sel(temperature=ds["temperature"][ds["temperature"] > T_M + 0.05]).mean("temperature")
level = above.mean("disorder")
level_error = above.std("disorder", ddof=1) / np.sqrt(above.sizes["disorder"])
for size in ds["N"].values:
    row = zip(level.sel(N=size).values, level_error.sel(N=size).values)
    print(f"mean over T > T_M + 0.05, N = {size:5d}: " + "  ".join(f"{v:.3f}+-{e:.3f}" for v, e in row))

# %% The figure: left m(T) for the longest runs, right what remains above T_M
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.9), layout="constrained")
    left, right = fig.subplots(1, 2, width_ratios=[3, 2])
    T = ds["temperature"].values
    longest = int(ds["sweeps"].values[-1])
    for number, size in enumerate(ds["N"].values):
        style = {
            "color": plots.COLOURS[number],
            "marker": plots.MARKERS[number],
            "linestyle": "",
            "elinewidth": 0.7,
            "markersize": 3.5,
        }
        at = {"N": size, "sweeps": longest}
        beside = T + 0.009 * (number - 1)  # the middle size at its true place
        left.errorbar(beside, mean.sel(at).values, error.sel(at).values, label=f"$N$ = {size}", **style)
        shift = 1.04 ** (number - 1)
        style |= {"linestyle": "-", "linewidth": 0.6}
        values, errors = level.sel(N=size).values, level_error.sel(N=size).values
        right.errorbar(shift * ds["sweeps"].values, values, errors, **style)
    fine = T_M * (1 - 1e-9) - (T_M - T.min()) * np.linspace(1, 0, 80) ** 2
    left.plot(fine, hopfield.retrieval_overlap(LOAD, fine), color="black", label="AGS")
    left.plot([T_M, T_M], [0, m_spinodal], color="black", linestyle=":", linewidth=0.8)
    left.annotate("$T_M$", (T_M, 0.03), xytext=(3, 0), textcoords="offset points")
    left.set(xlabel="temperature $T$", ylabel="overlap $m$ from the pattern", ylim=(-0.03, 1.05))
    left.set_title(f"runs of {longest} sweeps")
    right.set(xscale="log", xlabel="length of the run [sweeps]", ylim=(0, None))
    right.set_ylabel("mean of $m$ over $T > T_M + 0.05$")
    right.set_title(f"remanence (the spinodal value is {m_spinodal:.3f})")
    fig.legend(loc="outside upper center", ncols=4)
    plots.save(fig, Path(__file__).parent / "figures" / "hopfield_remanence.png", dpi=200)
