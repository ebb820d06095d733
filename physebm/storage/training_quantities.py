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
from physebm.storage.training_scores import (
    PARTS,
    SAMPLE,
    UPDATE,
    estimated_log_z,
    estimated_scores,
    moments,
    row,
    scores,
)

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


_ROWS = (
    row(
        "gradient_norm",
        "norm of the gradient",
        r"|\nabla \mathcal{L}|",
        "Euclidean norm over all trained arrays at the last update, penalties included, before "
        "clipping; variances enter by their logarithm; 0 before the first update",
        TOTAL,
    ),
    row("rate", "learning rate", r"\eta", "of the last update; 0 before the first", INTENSIVE),
    row(
        "projected",
        "updates that were projected back",
        "n",
        "number of updates so far after which couplings of continuous units had to be reduced, because "
        "the model could not be normalised",
        TOTAL,
    ),
    row(
        "objective",
        "log pseudo-likelihood of the last batch",
        r"\mathcal{L}_\mathrm{PL}",
        "sum_i log p(x_i | x_rest), mean over the samples of the last update, before it; NaN before "
        "the first",
        SAMPLE,
        "nat",
    ),
    replace(quantity("log_z"), dims=UPDATE),
    *scores(),
    *estimated_scores(),
    *estimated_log_z(),
    *moments(),
    row(
        "data_energy",
        "potential of the data per unit",
        r"\langle u \rangle_\mathrm{data}",
        "mean of u(v) over at most 2000 training samples / N, u(v) the reduced potential with hidden "
        "units summed out",
        PER_UNIT,
    ),
    row(
        "chain_energy",
        "potential of the chains per unit",
        r"\langle u \rangle",
        "<u(v)> / N, hidden units summed out; of deep machines <u(v, h)> / N",
        PER_UNIT,
    ),
    row(
        "chain_energy_variance",
        "variance of the potential per unit",
        r"\mathrm{Var}(u) / N",
        "Var(u(v)) / N over chains; of deep machines Var(u(v, h)) / N",
        PER_UNIT,
    ),
    row(
        "chain_magnetisation",
        "magnetisation of the chains",
        r"\langle m \rangle",
        "<m> of the visible units; Bernoulli through 2x - 1; Potts m = (q max_a rho_a - 1)/(q - 1)",
        PER_UNIT,
    ),
    row(
        "chain_abs_magnetisation",
        "absolute magnetisation of the chains",
        r"\langle |m| \rangle",
        "<abs m> of the visible units",
        PER_UNIT,
    ),
    row(
        "replica_overlap",
        "overlap between chains",
        r"\langle q \rangle",
        "<q> over pairs of at most 1000 chains, q = (1/N) sum_i s_i^a s_i^b of visible units "
        "(Bernoulli through 2x - 1; Potts (q delta - 1)/(q - 1); continuous: cosine)",
        PER_UNIT,
    ),
    row(
        "replica_overlap_squared",
        "squared overlap between chains",
        r"\langle q^2 \rangle",
        "<q^2> over pairs of at most 1000 chains",
        PER_UNIT,
    ),
    row(
        "data_overlap",
        "largest overlap of a chain with the data",
        r"\langle \max_r q_r \rangle",
        "mean over at most 1000 chains of the largest overlap with one of at most 1000 training "
        "samples",
        PER_UNIT,
    ),
    row(
        "swap_acceptance",
        "replica-exchange acceptance",
        r"a_\mathrm{swap}",
        "mean of min(1, exp(W)) over all neighbouring rungs of the ladders as they stand",
        "per proposed swap",
    ),
    row(
        "swap_acceptance_lowest",
        "lowest replica-exchange acceptance",
        r"\min a_\mathrm{swap}",
        "smallest over gaps of the mean of min(1, exp(W)) over ladders",
        "per proposed swap",
    ),
    row(
        "ess_fraction",
        "effective sample size of one update",
        r"n_\mathrm{eff} / n",
        "(sum w)^2 / (n sum w^2) over n chains, w = exp(-(u_new - u_old)) of the last update; NaN "
        "before the first",
        "per chain",
    ),
    row(
        "chain_tau",
        "autocorrelation time of the chains",
        r"\tau",
        "tau = 1/2 + sum_t rho(t), windowed, of the slowest of u(v), the magnetisation, the four "
        "leading principal components of the data and of the chains and the four leading modes of "
        "each trained coupling array, at frozen parameters; under tempering of the ladder as a whole",
        "in sweeps (every unit updated once)",
        "sweep",
    ),
    row(
        "chain_tau_stderr",
        "standard error of the autocorrelation time",
        r"\sigma(\tau)",
        "tau sqrt((4W + 2)/n), W the window and n all draws",
        "in sweeps (every unit updated once)",
        "sweep",
    ),
    row(
        "chain_tau_reliable",
        "whether the autocorrelation time is more than a lower bound",
        "",
        "whether the window closed within half of the frozen run",
    ),
    row(
        "chain_lag",
        "lag of the chains behind the model",
        r"\ell",
        "s M / (1 - M): the most by which an average over the chains is off, in standard deviations; "
        "M = ((2 tau - 1)/(2 tau + 1))^k for k sweeps per update, s^2 = -log(ess_fraction); chains "
        "that start anew: M times the distance of the starts",
    ),
    row(
        "chain_verdict",
        "equilibrium verdict on the chains",
        "",
        "lag below 0.1: equilibrated; above 1: out of equilibrium; between them, and where tau or the "
        "weights are unknown: lagging. What the chains move in the frozen run counts as a lag too. Not "
        "recorded before the first update, where chains have not run",
    ),
    row("chain_verdict_message", "reason of the verdict", "", "one sentence"),
)

TRAINING_QUANTITIES: dict[str, Quantity] = {row.name: row for row in _ROWS}
"""Names without a suffix."""

_ZERO_SUM = "Potts sides in the zero-sum gauge; the scale of the term is not included"
_ARRAY_ROWS = (
    row(
        "singular_values",
        "singular values of {}",
        "s_a",
        f"of {{}} as a matrix [visible, hidden], descending, at most 64; {_ZERO_SUM}",
        INTENSIVE,
        "1",
        "mode_{}",
    ),
    row(
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
    row(
        "mode_magnetisation",
        "squared magnetisation along the modes of {}",
        r"\langle m_a^2 \rangle",
        "<m_a^2>, m_a = (1/sqrt N) sum_i u_ia (x_i - c_i), u_a the visible singular vectors of {}, c "
        "the mean of the training data, N visible features",
        INTENSIVE,
        "1",
        "leading_mode_{}",
    ),
    row(
        "weight_norm",
        "norm of {}",
        r"\|\theta\|",
        "square root of the sum of squares of all entries of {} (of symmetric couplings both places)",
        TOTAL,
    ),
    row(
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
    row(
        "hidden_mean",
        "mean of the hidden units {}",
        r"\langle h_j \rangle",
        "<h_j> through the conditional mean given v (Potts: probability of each state)",
        INTENSIVE,
        "1",
        "unit_{}",
    ),
    row(
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
