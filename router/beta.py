"""The Beta distribution: what is known of a share after some successes and failures.

The law of this file: pure arithmetic of the standard library (no scipy on the hot path).
"""

from __future__ import annotations

from math import exp, lgamma, log

#: Steps of the bisection: an interval's ends are exact to 2^-48.
_STEPS = 48
_TERMS = 300
_TINY = 1e-300


def mean(a: float, b: float) -> float:
    """The expectation of Beta(a, b)."""
    return a / (a + b)


def interval(a: float, b: float, mass: float) -> tuple[float, float]:
    """The central credible interval of Beta(a, b) that holds `mass` (0..1) of it; a, b > 0."""
    tail = (1.0 - mass) / 2
    return quantile(tail, a, b), quantile(1.0 - tail, a, b)


def quantile(p: float, a: float, b: float) -> float:
    """The x with P(X <= x) = p."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if cdf(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def cdf(x: float, a: float, b: float) -> float:
    """P(X <= x) of Beta(a, b): the regularised incomplete beta function."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1.0 - x))
    # The continued fraction converges fast on one side of the mean; the other side is its mirror image.
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _TERMS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _away(1.0 + step * d)
            c = _away(1.0 + step / c)
            change = c * d
            value *= change
        if abs(change - 1.0) < 1e-14:  # noqa: PLR2004 - as exact as a float gets
            break
    return value


def _away(value: float) -> float:
    """A divisor that is not zero."""
    return value if abs(value) > _TINY else _TINY
