# %% [markdown]
"""The Sherrington-Kirkpatrick spin glass: energy against Parisi's solution, and P(q).

Claim: energies at N = 64, 128, 256, extrapolated with the correction N^(-2/3), agree with the
replica-symmetric value above T_c = 1 and with Parisi's below. P(q) has one peak at 0 above T_c; below
it has two, near the largest overlap q_EA(T) of Parisi's solution, and keeps weight between them at
every N: that is broken replica symmetry.

Theory: D. Sherrington and S. Kirkpatrick, Phys. Rev. Lett. 35, 1792 (1975); G. Parisi, J. Phys. A 13,
1101 (1980), four steps of replica-symmetry breaking. N^(-2/3): S. Boettcher, Eur. Phys. J. B 46, 501
(2005), found for the ground state.
Study: studies/sk_overlap.toml
"""

# %%
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from physebm import plots
from physebm.theory import sk

ROOT = Path(__file__).resolve().parent.parent
ds = xr.open_dataset(ROOT / "results" / "sk_overlap.nc")
T, sizes, samples = ds["temperature"].values, ds["N"].values, ds.sizes["disorder"]
mean = ds["energy"].mean("disorder")
error = ds["energy"].std("disorder", ddof=1) / np.sqrt(samples)
exact = np.array([sk.parisi(t).energy for t in T])

# %% The limit of large N, temperature by temperature (samples are shared, so the errors go together)
pulls = []
limits, spreads = [], []
for t, truth in zip(T, exact):
    e, s = mean.sel(temperature=t).values, error.sel(temperature=t).values
    fit, covariance = np.polyfit(sizes ** (-2 / 3), e, 1, w=1 / s, cov="unscaled")
    limits.append(fit[1])
    spreads.append(np.sqrt(covariance[1, 1]))
    pulls.append((limits[-1] - truth) / spreads[-1])
    print(
        f"T = {t:.1f}: e(N = {sizes[-1]}) = {e[-1]:.4f}, limit {fit[1]:.4f} +- {spreads[-1]:.4f}, ",
        end="",
    )
    print(f"theory {truth:.4f}, pull {pulls[-1]:+.1f}")

# %% Gaussian couplings, integrated by parts: e = -(beta / 2) (1 - [<q^2>]) exactly, at every N
q2 = ds["replica_overlap_squared"]
beta = 1 / ds["temperature"]
gap = ds["energy"] + beta * (1 - q2) / 2
gap_mean = gap.mean("disorder")
gap_error = gap.std("disorder", ddof=1) / np.sqrt(samples)
print(f"e + beta (1 - [q^2]) / 2: largest pull {np.abs(gap_mean / gap_error).max().item():.1f}")

# %% Weight between the peaks, against Parisi's x(q) = integral of P(q) up to q
for t in (0.4, 0.6, 0.8):
    state = sk.parisi(t, 6)
    steps = (np.array(state.m[:-1]) + np.array(state.m[1:])) / 2  # where q(x) takes q_1 ... q_K-1
    limit = np.interp(0.2, [0.0, *state.q[:-1]], [0.0, *steps])
    print(f"T = {t}: weight of |q| < 0.2, Parisi about {limit:.2f}; ", end="")
    for size in sizes:
        p = ds["overlap_distribution"].sel(temperature=t, N=size).values
        q = ds["overlap_value"].sel(temperature=t, N=size).isel(disorder=0).values
        weight = p[:, np.abs(q) < 0.2].sum(axis=1)
        print(
            f" N = {size}: {weight.mean():.3f} +- {weight.std(ddof=1) / np.sqrt(samples):.3f}", end=" "
        )
    print()

# %% The figure
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.9), layout="constrained")
    left, right = fig.subplots(1, 2)
    for number, size in enumerate(sizes):
        style = {"color": plots.COLOURS[number], "marker": plots.MARKERS[number], "linestyle": ""}
        style |= {"markersize": 3, "elinewidth": 0.7}
        at = mean.sel(N=size)
        left.errorbar(T, at.values, error.sel(N=size).values, label=f"$N$ = {size}", **style)
    style = {"color": "black", "marker": "_", "linestyle": "", "markersize": 7}
    left.errorbar(T, limits, spreads, label="$N \\to \\infty$, by $N^{-2/3}$", **style)
    cold, warm = np.linspace(0.4, 1.0, 25), np.linspace(1.0, 1.4, 25)
    left.plot(cold, [sk.parisi(t).energy for t in cold], "k--", linewidth=0.9, label="Parisi")
    left.plot(warm, -0.5 / warm, "k-", linewidth=0.9, label="replica symmetric")
    left.set(xlabel="temperature $T$", ylabel="energy per unit $e$")
    left.legend()
    size = sizes[-1]
    for number, t in enumerate((0.4, 0.7, 1.0, 1.4)):
        p = ds["overlap_distribution"].sel(temperature=t, N=size).mean("disorder").values
        q = ds["overlap_value"].sel(temperature=t, N=size).isel(disorder=0).values
        p, q = p[np.isfinite(q)], q[np.isfinite(q)]
        # P(q) = P(-q) without a field; averaged over 5 neighbouring values.
        p = (p + p[::-1]) / 2
        groups = slice(1, -1)  # of 257 values: 51 groups, evenly about 0
        density = p[groups].reshape(-1, 5).sum(axis=1) / (5 * (q[1] - q[0]))
        centre = q[groups].reshape(-1, 5).mean(axis=1)
        colour = plots.COLOURS[number]
        right.plot(centre, density, color=colour, label=f"$T$ = {t}")
        if t < 1:
            for sign in (-1, 1):
                right.axvline(
                    sign * sk.parisi(t).q[-1], ymax=0.5, color=colour, linestyle=":", linewidth=0.8
                )
    right.set(xlabel="replica overlap $q$", ylabel="density $P(q)$", xlim=(-1, 1), ylim=(0, None))
    right.set_xticks([-1, -0.5, 0, 0.5, 1])
    right.set_title(f"$N$ = {size}; dotted: Parisi's largest overlap")
    right.legend(loc="upper right")
    plots.save(fig, Path(__file__).parent / "figures" / "sk_overlap.png", dpi=200)
