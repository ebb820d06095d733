"""The table of what is recorded while a model learns: names, units, definitions, axes.

Names that belong to an array or a group end in its name: ``singular_values_W``, ``hidden_mean_h``.
Their own axes carry that name too, so that several arrays fit in one file. ``< >`` is the average over
the chains (or the exact average, where a model without chains is enumerated), "per unit" divides by the
number of visible units. Log-likelihoods are in nats per sample.
"""

from __future__ import annotations

from dataclasses import replace

from physebm.errors import InputError
from physebm.storage.quantities import INTENSIVE, PER_UNIT, TOTAL, Quantity, quantity

PARTS = {"train": "training", "validation": "validation", "test": "test"}
SAMPLE = "per sample"
UPDATE = ("update",)

VERDICTS = ("equilibrated", "lagging", "out_of_equilibrium", "not_recorded")
RELIABILITY = ("lower_bound", "reliable", "not_recorded")
ESTIMATE_VERDICTS = ("trusted", "suspect", "failed", "not_recorded")
FLAGS = {
    "chain_verdict": VERDICTS,
    "chain_tau_reliable": RELIABILITY,
    "log_z_ais_verdict": ESTIMATE_VERDICTS,
    "log_z_tracked_verdict": ESTIMATE_VERDICTS,
}
"""Names whose values are codes, and what these mean; the last stands where nothing was recorded."""
TEXTS = ("chain_verdict_message", "log_z_ais_verdict_message", "log_z_tracked_verdict_message")

SHARED_ERRORS = tuple(f"pseudo_log_likelihood_{part}" for part in PARTS)
"""Quantities whose error is one deviation at all ages: the samples behind them were chosen once."""

_OF_CHAINS = (
    *("chain_energy", "chain_magnetisation", "chain_abs_magnetisation", "replica_overlap"),
    *("data_overlap", "moment", "mode_magnetisation", "hidden_mean"),
)
_DATA_SUFFIX = "_data"


def _row(name, long_name, symbol, definition, normalisation=INTENSIVE, units="1", *own) -> Quantity:
    return Quantity(name, long_name, symbol, definition, normalisation, units, (*UPDATE, *own))


def _scores() -> list[Quantity]:
    rows = []
    for part, words in PARTS.items():
        rows += [
            _row(
                f"log_likelihood_{part}",
                f"log-likelihood of the {words} data",
                r"\mathcal{L}",
                f"exact: mean over {words} samples of -u(v) - log Z, hidden units summed out; a "
                "density in continuous units",
                SAMPLE,
                "nat",
            ),
            _row(
                f"log_likelihood_bound_{part}",
                f"lower bound of the log-likelihood of the {words} data",
                r"\mathcal{L}_\mathrm{MF}",
                f"mean over {words} samples of the mean-field bound on log p(v), log Z exact",
                SAMPLE,
                "nat",
            ),
            _row(
                f"pseudo_log_likelihood_{part}",
                f"log pseudo-likelihood of the {words} data",
                r"\mathcal{L}_\mathrm{PL}",
                f"mean over {words} samples of sum_i log p(v_i | v_rest), hidden units summed out; "
                "from at most 2000 samples, or from pairs (sample, unit), the same at all ages",
                SAMPLE,
                "nat",
            ),
            _row(
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


def _estimated_scores() -> list[Quantity]:
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
                    _row(
                        f"{name}_{part}",
                        f"{words} {what} of the {of} data",
                        symbol,
                        f"mean over {of} samples of {value}, {how}",
                        SAMPLE,
                        "nat",
                    ),
                    _row(
                        f"{name}_{part}_stderr",
                        f"standard error of the {words} {what} of the {of} data",
                        rf"\sigma({symbol})",
                        _LOG_Z_ERROR,
                        SAMPLE,
                        "nat",
                    ),
                ]
    return rows


def _estimated_log_z() -> list[Quantity]:
    rows = []
    for way, (words, mark, how) in _WAYS.items():
        symbol = rf"\log Z_{{{mark}}}"
        rows += [
            _row(f"log_z_{way}", f"{words} log Z", symbol, how, TOTAL, "nat"),
            _row(
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
            _row(
                f"log_z_{way}_verdict",
                f"verdict on the {words} log Z",
                "",
                "worst of the diagnostics: weights that few chains carry, "
                + ("the reverse direction, " if way == "ais" else "")
                + "a difference of the two estimates of more than 4 errors",
            ),
            _row(f"log_z_{way}_verdict_message", "reason of the verdict", "", "sentences"),
        ]
    return [
        *rows,
        _row(
            "log_z_ais_low",
            "lower end of the bracket of log Z",
            r"\log Z_<",
            "mean log-weight of the forward chains, + log Z_0",
            TOTAL,
            "nat",
        ),
        _row(
            "log_z_ais_high",
            "upper end of the bracket of log Z",
            r"\log Z_>",
            "minus the mean log-weight of the reverse chains, + log Z_0; they start at the persistent "
            "chains of the training where there are some",
            TOTAL,
            "nat",
        ),
        _row(
            "tracked_difference",
            "tracked less annealed log Z",
            r"\Delta \log Z",
            "log_z_tracked - log_z_ais",
            TOTAL,
            "nat",
        ),
        _row(
            "tracked_difference_stderr",
            "expected difference of the two log Z",
            r"\sigma(\Delta \log Z)",
            "root of the sum of squares of their standard errors",
            TOTAL,
            "nat",
        ),
        _row(
            "tracked_ess_fraction",
            "effective share of the tracked walkers",
            r"n_\mathrm{eff} / n",
            "(sum w)^2 / (n sum w^2) over walkers of a block since it was resampled, mean over blocks",
            "per chain",
        ),
        _row(
            "tracked_resamplings",
            "resamplings of the tracked walkers",
            "n",
            "number so far, of all blocks",
            TOTAL,
        ),
    ]


def _moments() -> list[Quantity]:
    rows = []
    for order, what in ((1, "means"), (2, "covariances"), (3, "third central moments")):
        compared = {
            1: "<x_i>",
            2: "<dx_i dx_j> of pairs of different units (continuous units: variances too)",
            3: "<dx_i dx_j dx_k> of at most 2000 triplets of different units, the same at all ages",
        }[order]
        about = f"{compared}, model against training data; Potts units through their indicators"
        rows += [
            _row(
                f"moment{order}_rms",
                f"error of the {what}",
                rf"\Delta_{order}",
                f"root mean square difference of {about}",
            ),
            _row(
                f"moment{order}_pearson",
                f"correlation of the {what} with those of the data",
                rf"r_{order}",
                f"Pearson correlation over {about}; NaN where those of either are all equal",
            ),
            _row(
                f"moment{order}_noise",
                f"noise floor of the error of the {what}",
                rf"\delta_{order}",
                "expected root mean square difference of two samples of these sizes of one "
                "distribution; NaN before the first update, where chains have not run",
            ),
        ]
    return rows


_ROWS = (
    _row(
        "gradient_norm",
        "norm of the gradient",
        r"|\nabla \mathcal{L}|",
        "Euclidean norm over all trained arrays at the last update, penalties included, before "
        "clipping; variances enter by their logarithm; 0 before the first update",
        TOTAL,
    ),
    _row("rate", "learning rate", r"\eta", "of the last update; 0 before the first", INTENSIVE),
    _row(
        "projected",
        "updates that were projected back",
        "n",
        "number of updates so far after which couplings of continuous units had to be reduced, because "
        "the model could not be normalised",
        TOTAL,
    ),
    _row(
        "objective",
        "log pseudo-likelihood of the last batch",
        r"\mathcal{L}_\mathrm{PL}",
        "sum_i log p(x_i | x_rest), mean over the samples of the last update, before it; NaN before "
        "the first",
        SAMPLE,
        "nat",
    ),
    replace(quantity("log_z"), dims=UPDATE),
    *_scores(),
    *_estimated_scores(),
    *_estimated_log_z(),
    *_moments(),
    _row(
        "data_energy",
        "potential of the data per unit",
        r"\langle u \rangle_\mathrm{data}",
        "mean of u(v) over at most 2000 training samples / N, u(v) the reduced potential with hidden "
        "units summed out",
        PER_UNIT,
    ),
    _row(
        "chain_energy",
        "potential of the chains per unit",
        r"\langle u \rangle",
        "<u(v)> / N, hidden units summed out; of deep machines <u(v, h)> / N",
        PER_UNIT,
    ),
    _row(
        "chain_energy_variance",
        "variance of the potential per unit",
        r"\mathrm{Var}(u) / N",
        "Var(u(v)) / N over chains; of deep machines Var(u(v, h)) / N",
        PER_UNIT,
    ),
    _row(
        "chain_magnetisation",
        "magnetisation of the chains",
        r"\langle m \rangle",
        "<m> of the visible units; Bernoulli through 2x - 1; Potts m = (q max_a rho_a - 1)/(q - 1)",
        PER_UNIT,
    ),
    _row(
        "chain_abs_magnetisation",
        "absolute magnetisation of the chains",
        r"\langle |m| \rangle",
        "<abs m> of the visible units",
        PER_UNIT,
    ),
    _row(
        "replica_overlap",
        "overlap between chains",
        r"\langle q \rangle",
        "<q> over pairs of at most 1000 chains, q = (1/N) sum_i s_i^a s_i^b of visible units "
        "(Bernoulli through 2x - 1; Potts (q delta - 1)/(q - 1); continuous: cosine)",
        PER_UNIT,
    ),
    _row(
        "replica_overlap_squared",
        "squared overlap between chains",
        r"\langle q^2 \rangle",
        "<q^2> over pairs of at most 1000 chains",
        PER_UNIT,
    ),
    _row(
        "data_overlap",
        "largest overlap of a chain with the data",
        r"\langle \max_r q_r \rangle",
        "mean over at most 1000 chains of the largest overlap with one of at most 1000 training "
        "samples",
        PER_UNIT,
    ),
    _row(
        "swap_acceptance",
        "replica-exchange acceptance",
        r"a_\mathrm{swap}",
        "mean of min(1, exp(W)) over all neighbouring rungs of the ladders as they stand",
        "per proposed swap",
    ),
    _row(
        "swap_acceptance_lowest",
        "lowest replica-exchange acceptance",
        r"\min a_\mathrm{swap}",
        "smallest over gaps of the mean of min(1, exp(W)) over ladders",
        "per proposed swap",
    ),
    _row(
        "ess_fraction",
        "effective sample size of one update",
        r"n_\mathrm{eff} / n",
        "(sum w)^2 / (n sum w^2) over n chains, w = exp(-(u_new - u_old)) of the last update; NaN "
        "before the first",
        "per chain",
    ),
    _row(
        "chain_tau",
        "autocorrelation time of the chains",
        r"\tau",
        "tau = 1/2 + sum_t rho(t), windowed, of the slowest of u(v), the magnetisation, the four "
        "leading principal components of the data and of the chains and the four leading modes of "
        "each trained coupling array, at frozen parameters; under tempering of the ladder as a whole",
        "in sweeps (every unit updated once)",
        "sweep",
    ),
    _row(
        "chain_tau_stderr",
        "standard error of the autocorrelation time",
        r"\sigma(\tau)",
        "tau sqrt((4W + 2)/n), W the window and n all draws",
        "in sweeps (every unit updated once)",
        "sweep",
    ),
    _row(
        "chain_tau_reliable",
        "whether the autocorrelation time is more than a lower bound",
        "",
        "whether the window closed within half of the frozen run",
    ),
    _row(
        "chain_lag",
        "lag of the chains behind the model",
        r"\ell",
        "s M / (1 - M): the most by which an average over the chains is off, in standard deviations; "
        "M = ((2 tau - 1)/(2 tau + 1))^k for k sweeps per update, s^2 = -log(ess_fraction); chains "
        "that start anew: M times the distance of the starts",
    ),
    _row(
        "chain_verdict",
        "equilibrium verdict on the chains",
        "",
        "lag below 0.1: equilibrated; above 1: out of equilibrium; between them, and where tau or the "
        "weights are unknown: lagging. What the chains move in the frozen run counts as a lag too. Not "
        "recorded before the first update, where chains have not run",
    ),
    _row("chain_verdict_message", "reason of the verdict", "", "one sentence"),
)

TRAINING_QUANTITIES: dict[str, Quantity] = {row.name: row for row in _ROWS}
"""Names without a suffix."""

_ZERO_SUM = "Potts sides in the zero-sum gauge; the scale of the term is not included"
_ARRAY_ROWS = (
    _row(
        "singular_values",
        "singular values of {}",
        "s_a",
        f"of {{}} as a matrix [visible, hidden], descending, at most 64; {_ZERO_SUM}",
        INTENSIVE,
        "1",
        "mode_{}",
    ),
    _row(
        "mode_alignment",
        "alignment of the modes of {} with the data",
        r"|u_a \cdot e_b|",
        "absolute cosine of the visible singular vectors of {} and the principal components of the "
        "training data, the ten leading ones of each",
        INTENSIVE,
        "1",
        "leading_mode_{}",
        "component_{}",
    ),
    _row(
        "mode_magnetisation",
        "squared magnetisation along the modes of {}",
        r"\langle m_a^2 \rangle",
        "<m_a^2>, m_a = (1/sqrt N) sum_i u_ia (x_i - c_i), u_a the visible singular vectors of {}, c "
        "the mean of the training data, N visible features",
        INTENSIVE,
        "1",
        "leading_mode_{}",
    ),
    _row(
        "weight_norm",
        "norm of {}",
        r"\|\theta\|",
        "square root of the sum of squares of all entries of {} (of symmetric couplings both places)",
        TOTAL,
    ),
    _row(
        "weight_participation",
        "visible units that each hidden unit of {} looks at",
        "p_j",
        "(sum_i w_ij^2)^2 / sum_i w_ij^4, w_ij^2 the sum over states of squared entries of {}; from 1 "
        "to the number of visible units; columns are hidden units, patterns, or units of the group",
        INTENSIVE,
        "1",
        "column_{}",
    ),
)
_GROUP_ROWS = (
    _row(
        "hidden_mean",
        "mean of the hidden units {}",
        r"\langle h_j \rangle",
        "<h_j> through the conditional mean given v (Potts: probability of each state)",
        INTENSIVE,
        "1",
        "unit_{}",
    ),
    _row(
        "hidden_participation",
        "hidden units of {} that are active at once",
        "L",
        "mean over at most 2000 training samples of (sum_j |h_j|^3)^2 / sum_j |h_j|^6, h_j the "
        "conditional mean given v",
    ),
)
_PATTERNS = {row.name: row for row in (*_ARRAY_ROWS, *_GROUP_ROWS)}


def training_quantity(name: str) -> Quantity:
    """The row of a recorded name, array or group name included.

    Raises
    ------
    InputError
        for a name that nothing records.
    """
    if name in TRAINING_QUANTITIES:
        return TRAINING_QUANTITIES[name]
    for start in sorted(_PATTERNS, key=len, reverse=True):
        if name.startswith(f"{start}_") and len(name) > len(start) + 1:
            return _named(name, start)
    known = [*TRAINING_QUANTITIES, *(f"{start}_NAME" for start in _PATTERNS)]
    raise InputError(f"recorded quantity {name}", got=name, expected=sorted(known))


def _named(name: str, start: str) -> Quantity:
    row, owner = _PATTERNS[start], name.removeprefix(f"{start}_")
    data = start in ("mode_magnetisation", "hidden_mean") and owner.endswith(_DATA_SUFFIX)
    if data:
        owner = owner.removesuffix(_DATA_SUFFIX)
    words = " in the training data" if data else ""
    definition = row.definition.replace("{}", owner)
    return replace(
        row,
        name=name,
        long_name=row.long_name.replace("{}", owner) + words,
        symbol=row.symbol + (r"_\mathrm{data}" if data else ""),
        definition=definition + ("; < > over training data" if data else ""),
        dims=tuple(dim.replace("{}", owner) for dim in row.dims),
    )


def of_chains(name: str) -> bool:
    """Whether a recorded quantity is an average over the chains of a training, where it has some."""
    return name.startswith(_OF_CHAINS) and not name.endswith(_DATA_SUFFIX)


_AXIS_WORDS = {
    "mode": ("mode of {}", "a"),
    "leading_mode": ("leading mode of {}", "a"),
    "component": ("principal component of the data on the side of {}", "b"),
    "column": ("column of {}: hidden unit, or pattern", "j"),
    "unit": ("unit of {}", "j"),
    "state": ("state of {}", "a"),
}


def training_axis(name: str) -> dict[str, str] | None:
    """The attributes of an axis of recorded values; None for an axis of another kind."""
    for start in sorted(_AXIS_WORDS, key=len, reverse=True):
        if name.startswith(f"{start}_"):
            words, symbol = _AXIS_WORDS[start]
            owner = name.removeprefix(f"{start}_")
            return {"long_name": words.replace("{}", owner), "units": "1", "symbol": symbol}
    return None
