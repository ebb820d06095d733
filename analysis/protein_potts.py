# %% [markdown]
"""Couplings of a protein family by maximum likelihood: correlations reproduced, contacts found.

    python analysis/protein_potts.py ALIGNMENT [STRUCTURE]

ALIGNMENT is PF00014_mgap6.fasta.gz, 13600 sequences of the Kunitz domain, STRUCTURE (rows "i j score
distance", columns counted from 1) PF00014_struct.dat.gz, both of github.com/pagnani/ArDCAData and no
part of this project. The script runs the study, samples the learned model from random starts, prints
the numbers and draws results/protein_potts.png.

Claim: connected two-point frequencies of sequences drawn from the model are those of the reweighted
alignment, Pearson above 0.95. Two thousand chains cannot show that: the noise of so few sequences alone
bounds Pearson's r by 0.865, against which training runs up. Pairs of columns with the largest
couplings (Frobenius norm in the zero-sum gauge, average product corrected) touch in the structure.

Theory: r of two samples with noise, r = (1 + <noise variance> / Var(C))^(-1/2). Frobenius norm and
correction: M. Ekeberg et al., Phys. Rev. E 87, 012707 (2013).
Study: studies/protein_potts.toml
"""

# %%
import gzip
import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from physebm import open_tree, plots
from physebm.cli import main as physebm
from physebm.data.read import read_data
from physebm.data.weights import reweighted
from physebm.study.trained import open_trained

ROOT = Path(__file__).resolve().parent.parent
SAMPLES, SWEEPS = 20000, 300
NEAR, APART = 8.0, 4  # Angstrom; pairs of columns that are further apart than this along the chain
if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
alignment, *structure = (Path(each).resolve() for each in sys.argv[1:])

# %% Train
result = ROOT / "results" / "protein_potts.nc"
study, path = ROOT / "studies" / "protein_potts.toml", json.dumps(str(alignment))
words = ["run", str(study), "--set", f"train.data.path={path}", "--out", str(result), "--no-plot"]
physebm(words, standalone_mode=False)

# %% One- and two-point statistics: of the data, of the chains, of fresh samples
data = reweighted(read_data(alignment, alphabet="protein"), 0.8)
L, q = data.values.shape[1], len(data.alphabet)
different = np.triu(np.repeat(np.repeat(~np.eye(L, dtype=bool), q, axis=0), q, axis=1))


def statistics(x: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies f_i(a) and connected C_ij(a, b) of different columns, i < j."""
    p = np.full(len(x), 1 / len(x)) if weights is None else weights / weights.sum()
    states = (x[:, :, None] == np.arange(q)).reshape(len(x), L * q).astype(np.float32)
    f = p @ states
    return f, ((states * p[:, None].astype(np.float32)).T @ states - np.outer(f, f))[different]


f, c = statistics(data.values, data.weights)
noise = (np.outer(f, f) * np.outer(1 - f, 1 - f))[different].mean() / np.var(c)
tree, model = open_tree(result), open_trained(result)
chains = tree["/chains"]["s"].values
samples = model.generate(SAMPLES, sweeps=SWEEPS)["s"]
print(f"{len(data.values)} sequences, effective {data.weights.sum():.1f}")
for name, x in (("chains", chains), (f"samples of {SWEEPS} sweeps", samples)):
    f_model, c_model = statistics(x)
    r, slope = np.corrcoef(c, c_model)[0, 1], c @ c_model / (c @ c)
    bound = (1 + noise / len(x)) ** -0.5
    print(f"{name}: {len(x)}, frequencies {np.corrcoef(f, f_model)[0, 1]:.4f}, ", end="")
    print(f"two-point {r:.4f} (bound by their noise {bound:.4f}), slope {slope:.3f}")
training = tree["/training"]
print(f"chains: {training['chain_verdict_message'].values[-1]}")

# %% Contacts
J = model.arrays["J"]
J = (
    J
    - J.mean(axis=2, keepdims=True)
    - J.mean(axis=3, keepdims=True)
    + J.mean(axis=(2, 3), keepdims=True)
)
norm = np.sqrt((J**2).sum(axis=(2, 3)))
column = norm.sum(axis=0) / (L - 1)
score = norm - np.outer(column, column) / column.mean()
for file in structure:
    with gzip.open(file, "rt") if file.suffix == ".gz" else open(file) as lines:
        i, j, known, distance = np.loadtxt(lines).T
    i, j = i.astype(int) - 1, j.astype(int) - 1
    keep = np.abs(i - j) > APART
    touch = distance[keep] < NEAR
    ppv = {}
    for name, each in (("learned", score[i, j]), ("stored DCA", known)):
        order = np.argsort(-each[keep], kind="stable")
        ppv[name] = np.cumsum(touch[order]) / np.arange(1, keep.sum() + 1)
        best = ", ".join(f"{ppv[name][n - 1]:.2f}" for n in (L // 2, L, 2 * L))
        print(f"{name}: share of contacts among the first L/2, L, 2L pairs {best}")
    print(f"of all {keep.sum()} pairs {touch.mean():.2f} touch")

# %% The figure
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.6), layout="constrained")
    left, middle, right = fig.subplots(1, 3)
    ages = training["update"].values
    left.plot(ages, training["moment2_pearson"], "o-", markersize=3, color=plots.COLOURS[0])
    left.axhline((1 + noise / len(chains)) ** -0.5, color="0.4", linestyle=":", linewidth=0.9)
    left.set(
        xscale="symlog", xlabel="update", ylabel="two-point correlation of 2000 chains", ylim=(0, 1)
    )
    left.set_title("dotted: bound by the chains' noise")
    ends = (min(c.min(), c_model.min()), max(c.max(), c_model.max()))
    drawn = middle.hexbin(c, c_model, gridsize=60, extent=(*ends, *ends), norm=LogNorm(), mincnt=1)
    middle.plot(ends, ends, color="black", linewidth=0.7)
    middle.set(xlabel="$C_{ij}(a, b)$, alignment", ylabel="of the model")
    middle.set_title(f"$r$ = {r:.3f}, {SAMPLES} samples")
    fig.colorbar(drawn, ax=middle)
    if structure:
        rank = np.arange(1, 3 * L)
        for (name, values), look in zip(ppv.items(), ("-", "--")):
            right.plot(rank, values[: len(rank)], look, color=plots.COLOURS[look == "--"], label=name)
        right.axhline(touch.mean(), color="0.4", linestyle=":", linewidth=0.9)
        for n in (L // 2, L, 2 * L):
            right.axvline(n, color="0.8", linewidth=0.7, zorder=0)
        right.set(
            xscale="log",
            ylim=(0, 1.02),
            xlabel="pairs, largest coupling first",
            ylabel="share of contacts",
        )
        right.legend(loc="lower left")
    plots.save(fig, ROOT / "results" / "protein_potts.png", dpi=200)
