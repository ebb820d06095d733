# %% [markdown]
"""Artificial genomes: an RBM of 200 hidden units on 805 single-nucleotide polymorphisms.

    python analysis/genomes_rbm.py REAL [PUBLISHED]

REAL is 805_SNP_1000G_real.hapt (also as .zip), 5008 haplotypes of the 1000 Genomes, PUBLISHED the
artificial genomes 805_SNP_RBM_AG_800Epochs.hapt of the paper's RBM; both were published by B. Yelmen et
al. and are no part of this project. The script runs the study, draws genomes from random starts beside
those of the persistent chains, prints the numbers and draws results/genomes_rbm.png.

Claim: allele frequencies and covariances of the machine's genomes are those of the real ones, Pearson
above 0.99 and 0.98, and those of the published machine are not nearer. Nearest neighbours tell real
from artificial (AATS, ideal 1/2 each) about as badly. The groups of haplotypes are deep minima: chains
from random starts need thousands of sweeps to fill them in the right proportions.

Theory: the best that N genomes can do against the data is the correlation of two samples of one
distribution, which real halves show. AATS: A. Yale et al., Neurocomputing 416, 244 (2020).
Study: studies/genomes_rbm.toml
"""

# %%
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
from physebm.observables.neighbours import adversarial_accuracy
from physebm.study.trained import open_trained

ROOT = Path(__file__).resolve().parent.parent
SWEEPS = (100, 1000, 5000)  # from random starts
if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
real_file, *published_file = (Path(each).resolve() for each in sys.argv[1:])

# %% Train
result = ROOT / "results" / "genomes_rbm.nc"
study, path = ROOT / "studies" / "genomes_rbm.toml", json.dumps(str(real_file))
words = ["run", str(study), "--set", f"train.data.path={path}", "--out", str(result), "--no-plot"]
physebm(words, standalone_mode=False)

# %% Genomes: real ones in two halves, of the chains, from random starts, published
real = read_data(real_file, skip_columns=2).flat.astype(np.int8)
chains = open_tree(result)["/chains"]["v"].values
half, other = real[::2], real[1::2]
sets = {"real, other half": other, "persistent chains": chains}
model = open_trained(result)
for sweeps in SWEEPS:
    sets[f"{sweeps} sweeps from random"] = model.generate(len(chains), sweeps=sweeps)["v"]
for file in published_file:
    sets["published RBM"] = read_data(file, skip_columns=2).flat.astype(np.int8)

# %% Frequencies, covariances, nearest neighbours
upper = np.triu_indices(real.shape[1], 1)


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and covariances of pairs i < j."""
    return x.mean(axis=0), np.cov(x.T.astype(np.float32), ddof=0)[upper]


for name, x in sets.items():
    against = moments(half if x is other else real)
    f, c = (np.corrcoef(a, b)[0, 1] for a, b in zip(against, moments(x)))
    n = min(len(half), len(x))
    truth, synthetic = adversarial_accuracy(half[:n], x[:n])
    print(f"{name}: {len(x)}, frequencies {f:.4f}, covariances {c:.4f}, ", end="")
    print(f"AATS truth {truth:.3f}, synthetic {synthetic:.3f}")
training = open_tree(result)["/training"]
print(f"chains: {training['chain_verdict_message'].values[-1]}")

# %% The figure
(f, c), (f_model, c_model) = moments(real), moments(chains)
centre = real.mean(axis=0)
axes = np.linalg.svd((real - centre).astype(np.float32), full_matrices=False)[2][:2].T
with mpl.rc_context(plots.STYLE):
    fig = Figure(figsize=(plots.DOUBLE, 2.6), layout="constrained")
    left, middle, right = fig.subplots(1, 3)
    left.plot(f, f_model, ".", color=plots.COLOURS[0], markersize=2)
    left.plot([0, 1], [0, 1], color="black", linewidth=0.7)
    left.set(xlabel="allele frequency, real", ylabel="of the machine")
    ends = (min(c.min(), c_model.min()), 0.26)
    drawn = middle.hexbin(c, c_model, gridsize=60, extent=(*ends, *ends), norm=LogNorm(), mincnt=1)
    middle.plot(ends, ends, color="black", linewidth=0.7)
    middle.set(xlabel="covariance, real", ylabel="of the machine")
    fig.colorbar(drawn, ax=middle, label="pairs")
    for x, colour, label in ((real, "0.6", "real"), (chains, plots.COLOURS[1], "machine")):
        place = (x - centre) @ axes
        right.plot(*place.T, ".", color=colour, markersize=1, label=label, rasterized=True)
    right.set(xlabel="first principal component", ylabel="second")
    right.legend(markerscale=5)
    plots.save(fig, ROOT / "results" / "genomes_rbm.png", dpi=200)
