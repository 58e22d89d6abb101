"""Chance without a generator: every draw is a hash of what it depends on, so the same question meets the same luck.

Pure. Knows nothing of tiers or prompts.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def digest(*parts: object) -> bytes:
    """32 bytes that depend on all parts (as text) and their order."""
    text = "\x1f".join(map(str, parts))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def fraction(*parts: object) -> float:
    """A number in [0, 1)."""
    return (int.from_bytes(digest(*parts)[:8], "big") >> 11) / 2**53


def pick(options: Sequence[T], *parts: object) -> T:
    """One of the options, which must not be empty."""
    return options[int(fraction(*parts) * len(options))]


class Draw:
    """A sequence of draws from one seed: each call moves on."""

    def __init__(self, *parts: object) -> None:
        self._parts = parts
        self._count = 0

    def unit(self) -> float:
        """A number in [0, 1)."""
        self._count += 1
        return fraction(*self._parts, self._count)

    def whole(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        return low + int(self.unit() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.whole(0, len(options) - 1)]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options in random order; all of them where there are fewer."""
        return sorted(options, key=lambda _: self.unit())[:count]
