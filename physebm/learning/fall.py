"""Whether a training has lost its data: their score against the one before the first update.

A climb may lose some of the log-likelihood that it began with: chains lag behind, the first steps are
too long and are taken back. It does not lose `FALL` nats per visible unit, which makes each unit of the
data e^30 times less probable than it was under the independent units of the start: fields are then far
beyond saturation, and point the wrong way. Parameters may stay finite for long after that.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.learning.train import Divergence

FALL = 30.0
"""Nats per visible unit that the data may lose; independent units of q states begin with log q."""
SCORES = ("log_likelihood_train", "log_likelihood_bound_train", "pseudo_log_likelihood_train")


def data_score(measured: Mapping[str, object]) -> float:
    """The log-likelihood of the data, its bound, or the pseudo-likelihood; nan where none is known."""
    return next((float(np.asarray(measured[name])) for name in SCORES if name in measured), np.nan)


def refuse_fall(score: float, first: float, units: int, update: int) -> None:
    """Stop a training whose data lost more than `FALL` nats per unit; nan is no judgement.

    Parameters
    ----------
    score, first
        Now and before the first update, in nats per sample.
    units
        Visible units.

    Raises
    ------
    Divergence
        with both values.
    """
    if first - score > FALL * units:
        raise Divergence(
            f"training diverged at update {update}: the data's log-likelihood fell from {first:.4g} at "
            f"update 0 to {score:.4g} nats per sample; the snapshots before it are kept. Lower "
            "train.learning_rate, or set train.clip"
        )
