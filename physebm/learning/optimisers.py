"""Optimisers as ``(start, step)``: gradients of a log-likelihood in, steps uphill out.

    sgd        step = rate g
    momentum   m <- momentum m + g;  step = rate m
    adam       m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, both corrected for their start;
               step = rate m / (sqrt v + eps)
               D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR (2015), alg. 1

State and directions are dictionaries of float64 arrays by slot. Update numbers start at 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Arrays = Mapping[str, np.ndarray]
NAMES = ("sgd", "momentum", "adam")
SCHEDULES = ("constant", "linear", "exponential", "power")


@dataclass(frozen=True)
class Schedule:
    """The learning rate at an update: from `start` to `end` over the training.

    ``linear`` and ``exponential`` reach `end` at the last update; ``power`` is
    ``start / (1 + t / half)^power``.
    """

    start: float
    end: float | None = None
    kind: Literal["constant", "linear", "exponential", "power"] = "constant"
    half: float = 1000.0
    power: float = 1.0

    def rate(self, update: int, updates: int) -> float:
        """The rate of update `update` (1, 2, ...) of `updates`."""
        done = (update - 1) / max(updates - 1, 1)
        match self.kind:
            case "linear":
                return self.start + (self.end - self.start) * done
            case "exponential":
                return self.start * (self.end / self.start) ** done
            case "power":
                return self.start / (1.0 + (update - 1) / self.half) ** self.power
        return self.start


@dataclass(frozen=True)
class Optimiser:
    """One of the rules above with its constants."""

    name: Literal["sgd", "momentum", "adam"] = "sgd"
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def start(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """The state before the first update, ``{moment/slot: zeros}``."""
        moments = {"sgd": (), "momentum": ("first",), "adam": ("first", "second")}[self.name]
        return {f"{m}/{slot}": np.zeros_like(x) for m in moments for slot, x in arrays.items()}

    def step(
        self, state: dict[str, np.ndarray], gradient: Arrays, rate: float, update: int
    ) -> tuple[dict[str, np.ndarray], float]:
        """Directions of update `update` and their factor: a step is their product.

        Changes `state` in place; directions may be the very arrays of `state` or `gradient`.
        """
        if self.name == "sgd":
            return dict(gradient), rate
        if self.name == "adam":
            rate /= 1.0 - self.beta1**update
        directions = {}
        for slot, g in gradient.items():
            first = state[f"first/{slot}"]
            if self.name == "momentum":
                first *= self.momentum
                first += g
                directions[slot] = first
                continue
            second = state[f"second/{slot}"]
            first *= self.beta1
            first += (1.0 - self.beta1) * g
            second *= self.beta2
            second += (1.0 - self.beta2) * g * g
            spread = np.sqrt(second)
            spread /= np.sqrt(1.0 - self.beta2**update)
            spread += self.epsilon
            directions[slot] = np.divide(first, spread, out=spread)
        return directions, rate


def clipped(gradient: Arrays, limit: float | None) -> dict[str, np.ndarray]:
    """The gradient scaled down to Euclidean norm `limit` over all arrays, where it is longer."""
    if limit is None:
        return dict(gradient)
    norm = np.sqrt(sum(float(np.vdot(g, g)) for g in gradient.values()))
    factor = min(1.0, limit / norm) if norm > 0 else 1.0
    return {slot: g * factor for slot, g in gradient.items()}


def penalised(gradient: Arrays, arrays: Arrays, l1: Mapping[str, float], l2: Mapping[str, float]):
    """The gradient of ``log-likelihood - l1 |theta|_1 - (l2/2) |theta|^2`` on chosen arrays."""
    out = dict(gradient)
    for slot, strength in l2.items():
        out[slot] = out[slot] - strength * arrays[slot]
    for slot, strength in l1.items():
        out[slot] = out[slot] - strength * np.sign(arrays[slot])
    return out
