# %% [markdown]
"""A network of 25 units recalls four letters from corrupted copies.

Claim: sequential zero-temperature dynamics restores the letters D, J, C and M from copies with one
flipped pixel (eight copies of each), and from most copies with five. What else it ends in are fixed
points that nobody stored.

Theory: every letter is a strict fixed point, because all its units have s_i h_i > 0 (printed).
J. J. Hopfield (1982); D. J. C. MacKay (2003), ch. 42.
Study: studies/hopfield_recall.toml
"""

# %%
import re
from pathlib import Path

import numpy as np
import xarray as xr

from physebm import plots
from physebm.study import setup
from physebm.study.runner import open_study

ROOT = Path(__file__).resolve().parent.parent
ds = xr.open_dataset(ROOT / "results" / "hopfield_recall.nc")
final = xr.open_dataset(ROOT / "results" / "hopfield_recall.nc", group="states")["s"].values

# %% Randomness is an address: the corrupted copies can be had again without a run
opened = open_study(ROOT / "studies" / "hopfield_recall.toml")
(task,) = opened.grid.tasks
prepared = setup.prepare(opened.study, task, "reference")
lanes = setup.lanes_of(prepared)
point, chain = setup.point_axis(task.points, opened.study.sample.chains)
initial = setup.initial_states(prepared, lanes, point, chain).x["s"].reshape(final.shape)
letters = prepared.params.arrays["letters"][0].reshape(4, 25)

# %% Every letter is stable; how many copies come back
W = (letters.T @ letters).astype(int)
np.fill_diagonal(W, 0)
for name, letter in zip("DJCM", letters):
    print(f"{name}: least s_i h_i = {(letter * (W @ letter)).min():.0f}")
restored = {}
for row, label in enumerate(ds["start"].values):
    number = re.search(r"pattern (\d)", str(label))
    letter = letters[int(number[1]) if number else 0]
    flips = int((initial[row] != letter).sum(axis=1)[0])
    back = (final[row] == letter).all(axis=1)
    restored.setdefault(flips, []).append(int(back.sum()))
for flips, counts in restored.items():
    print(f"{flips} flipped pixels: restored D, J, C, M = {counts} of {final.shape[1]}")

# %% The figure: for each letter the copies with five flips, above what became of them
hardest = [row for row, label in enumerate(ds["start"].values) if str(label).endswith("0.6")]
rows, titles = [], []
for name, row in zip("DJCM", hardest):
    rows += [initial[row], final[row]]
    titles += [f"{name}, 5 flips", "recalled"]
plots.save(
    plots.images(np.array(rows), (5, 5), row_titles=titles),
    Path(__file__).parent / "figures" / "hopfield_recall.png",
    dpi=120,
)
