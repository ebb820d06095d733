"""Rows of the table of recorded quantities that tell how good a model is: likelihoods and moments."""

from __future__ import annotations

from physebm.storage.quantities import INTENSIVE, TOTAL, Quantity

PARTS = {"train": "training", "validation": "validation", "test": "test"}
SAMPLE = "per sample"
UPDATE = ("update",)


def row(name, long_name, symbol, definition, normalisation=INTENSIVE, units="1", *own) -> Quantity:
    """A quantity on the axis `update` and its own."""
    return Quantity(name, long_name, symbol, definition, normalisation, units, (*UPDATE, *own))


def scores() -> list[Quantity]:
    """Likelihoods and pseudo-likelihoods of the parts of the data."""
    rows = []
    for part, words in PARTS.items():
        rows += [
            row(
                f"log_likelihood_{part}",
                f"log-likelihood of the {words} data",
                r"\mathcal{L}",
                f"exact: mean over {words} samples of -u(v) - log Z, hidden units summed out; a "
                "density in continuous units",
                SAMPLE,
                "nat",
            ),
            row(
                f"log_likelihood_bound_{part}",
                f"lower bound of the log-likelihood of the {words} data",
                r"\mathcal{L}_\mathrm{MF}",
                f"mean over {words} samples of the mean-field bound on log p(v), log Z exact",
                SAMPLE,
                "nat",
            ),
            row(
                f"pseudo_log_likelihood_{part}",
                f"log pseudo-likelihood of the {words} data",
                r"\mathcal{L}_\mathrm{PL}",
                f"mean over {words} samples of sum_i log p(v_i | v_rest), hidden units summed out; "
                "from at most 2000 samples, or from pairs (sample, unit), the same at all ages",
                SAMPLE,
                "nat",
            ),
            row(
                f"pseudo_log_likelihood_{part}_stderr",
                f"standard error of the log pseudo-likelihood of the {words} data",
                r"\sigma(\mathcal{L}_\mathrm{PL})",
                "one standard deviation, from having chosen samples or pairs; 0 where all were taken",
                SAMPLE,
                "nat",
            ),
        ]
    return rows


_WAYS = {
    "ais": ("annealed", r"\mathrm{AIS}", "log Z by annealed importance sampling"),
    "tracked": ("tracked", r"\mathrm{tr}", "log Z by walkers that followed the training"),
}
_LOG_Z_ERROR = "one standard deviation: that of log Z"


def estimated_scores() -> list[Quantity]:
    """Likelihoods from an estimated log Z."""
    rows = []
    for way, (words, mark, how) in _WAYS.items():
        for part, of in PARTS.items():
            held = (
                (f"log_likelihood_{way}", "log-likelihood", "-u(v) - log Z, hidden units summed out"),
                (f"log_likelihood_bound_{way}", "bound of the log-likelihood", "the mean-field bound"),
            )
            for name, what, value in held:
                symbol = rf"\mathcal{{L}}_{{{mark}}}"
                rows += [
                    row(
                        f"{name}_{part}",
                        f"{words} {what} of the {of} data",
                        symbol,
                        f"mean over {of} samples of {value}, {how}",
                        SAMPLE,
                        "nat",
                    ),
                    row(
                        f"{name}_{part}_stderr",
                        f"standard error of the {words} {what} of the {of} data",
                        rf"\sigma({symbol})",
                        _LOG_Z_ERROR,
                        SAMPLE,
                        "nat",
                    ),
                ]
    return rows


def estimated_log_z() -> list[Quantity]:
    """The estimates of log Z themselves, and what they are worth."""
    rows = []
    for way, (words, mark, how) in _WAYS.items():
        symbol = rf"\log Z_{{{mark}}}"
        rows += [
            row(f"log_z_{way}", f"{words} log Z", symbol, how, TOTAL, "nat"),
            row(
                f"log_z_{way}_stderr",
                f"standard error of the {words} log Z",
                rf"\sigma({symbol})",
                {
                    "ais": "delta method over the chains",
                    "tracked": "by the scatter of blocks of walkers that never exchange anything",
                }[way],
                TOTAL,
                "nat",
            ),
            row(
                f"log_z_{way}_verdict",
                f"verdict on the {words} log Z",
                "",
                "worst of the diagnostics: weights that few chains carry, "
                + ("the reverse direction, " if way == "ais" else "")
                + "a difference of the two estimates of more than 4 errors",
            ),
            row(f"log_z_{way}_verdict_message", "reason of the verdict", "", "sentences"),
        ]
    return [
        *rows,
        row(
            "log_z_ais_low",
            "lower end of the bracket of log Z",
            r"\log Z_<",
            "mean log-weight of the forward chains, + log Z_0",
            TOTAL,
            "nat",
        ),
        row(
            "log_z_ais_high",
            "upper end of the bracket of log Z",
            r"\log Z_>",
            "minus the mean log-weight of the reverse chains, + log Z_0; they start at the persistent "
            "chains of the training where there are some",
            TOTAL,
            "nat",
        ),
        row(
            "tracked_difference",
            "tracked less annealed log Z",
            r"\Delta \log Z",
            "log_z_tracked - log_z_ais",
            TOTAL,
            "nat",
        ),
        row(
            "tracked_difference_stderr",
            "expected difference of the two log Z",
            r"\sigma(\Delta \log Z)",
            "root of the sum of squares of their standard errors",
            TOTAL,
            "nat",
        ),
        row(
            "tracked_ess_fraction",
            "effective share of the tracked walkers",
            r"n_\mathrm{eff} / n",
            "(sum w)^2 / (n sum w^2) over walkers of a block since it was resampled, mean over blocks",
            "per chain",
        ),
        row(
            "tracked_resamplings",
            "resamplings of the tracked walkers",
            "n",
            "number so far, of all blocks",
            TOTAL,
        ),
    ]


def moments() -> list[Quantity]:
    """How well moments of the model match those of the data."""
    rows = []
    for order, what in ((1, "means"), (2, "covariances"), (3, "third central moments")):
        compared = {
            1: "<x_i>",
            2: "<dx_i dx_j> of pairs of different units (continuous units: variances too)",
            3: "<dx_i dx_j dx_k> of at most 2000 triplets of different units, the same at all ages",
        }[order]
        about = f"{compared}, model against training data; Potts units through their indicators"
        rows += [
            row(
                f"moment{order}_rms",
                f"error of the {what}",
                rf"\Delta_{order}",
                f"root mean square difference of {about}",
            ),
            row(
                f"moment{order}_pearson",
                f"correlation of the {what} with those of the data",
                rf"r_{order}",
                f"Pearson correlation over {about}; NaN where those of either are all equal",
            ),
            row(
                f"moment{order}_noise",
                f"noise floor of the error of the {what}",
                rf"\delta_{order}",
                "expected root mean square difference of two samples of these sizes of one "
                "distribution; NaN before the first update, where chains have not run",
            ),
        ]
    return rows
