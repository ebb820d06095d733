"""Moments of the visible units, of the data once and of the model at every recorded age.

The features of all visible groups stand side by side (values; indicators of the states of Potts
units). The model's moments are those of its chains; without chains those of the enumeration, where
there is one: its states with their probabilities, or its exact first and second moments.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.data.permutation import permutation
from physebm.free_energy.exact import ExactAverages
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.roles import visible_groups
from physebm.observables.moment_match import choose_triplets, moment_errors
from physebm.observables.moments import Moments, empirical_moments
from physebm.observables.spectra import Components, principal_components
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, key_of, last_word
from physebm.theory.enumeration import Exact

COMPONENTS = 10
TRIPLETS = 2000
# Multiplications that the moments of one set of rows may cost: half a second. Fewer rows above.
WORK = 2e10
LEAST_ROWS = 1000


class MomentRecord:
    """What the moments of data are, to compare those of a model with.

    Attributes
    ----------
    data
        Moments of the training data.
    place
        Visible group -> its slice of the features.
    features, units
        Numbers of visible features and units.
    components
        The ten leading principal components of the training data, by visible group.
    """

    def __init__(
        self,
        hamiltonian: Hamiltonian,
        data: Mapping[str, np.ndarray],
        weights: np.ndarray,
        seed: int,
        effective_samples: float | None = None,
    ):
        self.groups = [hamiltonian.group(name) for name in visible_groups(hamiltonian)]
        self.place, start, unit, group_f = {}, 0, 0, []
        for group in self.groups:
            width = group.size * group.prior.features
            self.place[group.name] = slice(start, start + width)
            group_f.append(unit + np.repeat(np.arange(group.size), group.prior.features))
            start, unit = start + width, unit + group.size
        self.features, self.units = start, unit
        key = key_of(seed, "triplets")
        words = philox4x32(np.arange(TRIPLETS), 0, 0, last_word(Purpose.CHECK), *key)
        self._groups_f = np.concatenate(group_f)
        self._triplets = choose_triplets(start, uniform(words[0]), self._groups_f)
        self._diagonal = any(not group.prior.discrete for group in self.groups)
        rows = np.sort(permutation(key_of(seed, "moments"), len(weights))[: self.limit])
        x, p = self.rows({name: values[rows] for name, values in data.items()}), weights[rows]
        size = None if effective_samples is None else effective_samples * len(rows) / len(weights)
        self.data = self._moments(x, weights=p, size=size)
        self.components: dict[str, Components] = {
            group.name: principal_components(
                x[:, self.place[group.name]],
                p,
                min(COMPONENTS, group.size * max(1, group.prior.features - 1)),
            )
            for group in self.groups
        }

    @property
    def limit(self) -> int:
        """Number of rows that moments are taken of at most."""
        each = self.features**2 + 10 * len(self._triplets)
        return max(LEAST_ROWS, int(WORK / each))

    def rows(self, states: Mapping[str, np.ndarray]) -> np.ndarray:
        """Features ``[row, feature]`` of visible configurations."""
        parts = []
        for group in self.groups:
            x = states[group.name]
            if group.prior.features > 1:
                x = (x[..., None] == np.arange(group.prior.q)).astype(np.int8).reshape(len(x), -1)
            parts.append(x)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def of_chains(self, states: Mapping[str, np.ndarray]) -> Moments:
        """Moments of independent chains."""
        return self._moments(self.rows(states)[: self.limit])

    def of_exact(self, exact: Exact) -> Moments:
        """Exact moments; third ones only where the states of all visible units are listed."""
        names = {group.name for group in exact.form.enumerated}
        if exact.probabilities is not None and names.issuperset(self.place):
            x = np.concatenate([self.rows(state) for _, state in exact.states()])
            return self._moments(x, weights=exact.probabilities[0], size=np.inf)
        averages = ExactAverages(exact)
        mean = np.concatenate([averages.mean(group.name).ravel() for group in self.groups])
        second = np.empty((self.features, self.features))
        for a, one in self.place.items():
            for b, two in self.place.items():
                block = averages.pair(a, b)
                second[one, two] = block.reshape(one.stop - one.start, -1)
        third = np.full(len(self._triplets), np.nan)
        kept = (self._triplets, self._groups_f, self._diagonal)
        return Moments(mean, second - np.outer(mean, mean), third, *kept, np.inf, (0.0, 0.0, np.nan))

    def match(self, model: Moments) -> dict[str, float]:
        """RMS error, Pearson correlation and noise floor of the first, second and third moments."""
        found = {}
        for order, match in enumerate(moment_errors(self.data, model), start=1):
            if not np.isnan(match.rms):
                found[f"moment{order}_rms"] = match.rms
                found[f"moment{order}_pearson"] = match.pearson
                found[f"moment{order}_noise"] = match.noise
        return found

    def _moments(self, x, weights=None, size=None) -> Moments:
        kept = (self._triplets, self._groups_f, self._diagonal)
        return empirical_moments(x, weights, *kept, size)
