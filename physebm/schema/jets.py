"""Truncated Taylor arithmetic: a value with its first and second derivative in one variable.

Rules: ``(f g)'' = f'' g + 2 f' g' + f g''`` and, for a function of one argument,
``(F(f))'' = F''(f) f'^2 + F'(f) f''``. Here the variable is beta; `Expression.jet` uses it for
scales and variances that depend on the temperature.
Source: A. Griewank and A. Walther, *Evaluating Derivatives* (SIAM, 2008), chapter 13.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


class JetError(Exception):
    """The function has no derivative there; the text says which."""


@dataclass(frozen=True, slots=True)
class Jet:
    """``f, df/dx, d2f/dx2`` at one point; derivatives, not Taylor coefficients."""

    value: float
    first: float
    second: float

    @staticmethod
    def constant(value: float) -> Jet:
        """A number that does not depend on the variable."""
        return Jet(value, 0.0, 0.0)

    @staticmethod
    def variable(value: float) -> Jet:
        """The variable itself."""
        return Jet(value, 1.0, 0.0)

    @property
    def is_constant(self) -> bool:
        """Whether both derivatives vanish."""
        return self.first == 0.0 and self.second == 0.0

    def chain(self, value: float, first: float, second: float) -> Jet:
        """``F(f)`` from F, F' and F'' at the present value."""
        return Jet(value, first * self.first, second * self.first**2 + first * self.second)

    def __add__(self, other: Jet) -> Jet:
        return Jet(self.value + other.value, self.first + other.first, self.second + other.second)

    def __neg__(self) -> Jet:
        return Jet(-self.value, -self.first, -self.second)

    def __sub__(self, other: Jet) -> Jet:
        return self + -other

    def __mul__(self, other: Jet) -> Jet:
        f, g = self, other
        return Jet(
            f.value * g.value,
            f.first * g.value + f.value * g.first,
            f.second * g.value + 2.0 * f.first * g.first + f.value * g.second,
        )

    def __truediv__(self, other: Jet) -> Jet:
        x = other.value
        return self * other.chain(1.0 / x, -1.0 / x**2, 2.0 / x**3)

    def __pow__(self, other: Jet) -> Jet:
        if not other.is_constant:
            return (other * self.log()).exp()
        x, p = self.value, other.value
        # A vanishing factor p (p - 1) ends the series of a polynomial, also at x = 0.
        first = p * math.pow(x, p - 1.0) if p != 0.0 else 0.0
        second = p * (p - 1.0) * math.pow(x, p - 2.0) if p not in (0.0, 1.0) else 0.0
        return self.chain(math.pow(x, p), first, second)

    def exp(self) -> Jet:
        """``exp f``."""
        x = math.exp(self.value)
        return self.chain(x, x, x)

    def log(self) -> Jet:
        """``log f``, natural."""
        x = self.value
        return self.chain(math.log(x), 1.0 / x, -1.0 / x**2)

    def sqrt(self) -> Jet:
        """``sqrt f``."""
        root = math.sqrt(self.value)
        return self.chain(root, 0.5 / root, -0.25 / root**3)

    @staticmethod
    def apply(function: str, arguments: Sequence[Jet]) -> Jet:
        """The function of the grammar of expressions, by name."""
        match function, arguments:
            case "+", [f, g]:
                return f + g
            case "-", [f, g]:
                return f - g
            case "*", [f, g]:
                return f * g
            case "/", [f, g]:
                return f / g
            case "**", [f, g]:
                return f**g
            case "neg", [f]:
                return -f
            case "exp", [f]:
                return f.exp()
            case "log", [f]:
                return f.log()
            case "sqrt", [f]:
                return f.sqrt()
        raise JetError(
            f"{function} of a temperature-dependent quantity has no derivative with respect to beta"
        )
