"""`kind: regex`: a pattern is found in the answer, or must not be.

The package `regex` rather than `re`: it knows a time limit, so that no answer can make a pattern backtrack for ever,
and it searches without holding the interpreter's lock. It runs in a thread: other requests go on meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import regex

from cascade.checks.said import abstained, invalid, valid
from router.errors import ConfigError

if TYPE_CHECKING:
    from cascade.checks.said import Said
    from router.domain import Request


class PatternCheck:
    """Searches one pattern; `expect` says whether finding it is a yes ("match") or a no ("no_match").

    Raises:
        ConfigError: the pattern is no regular expression.
    """

    def __init__(self, pattern: str, expect: str, timeout_s: float) -> None:
        try:
            self._pattern = regex.compile(pattern)
        except regex.error as error:
            raise ConfigError(f"is no regular expression: {error}", param="pattern") from error
        self._wants_match = expect == "match"
        self._timeout_s = timeout_s

    async def look(self, request: Request, text: str) -> Said:  # noqa: ARG002 - a pattern looks at the answer alone
        """Search, for a limited time."""
        try:
            found = await asyncio.to_thread(self._found, text)
        except TimeoutError:
            return abstained(f"the pattern took longer than {self._timeout_s:g} s on this answer")
        words = "the pattern is found in it" if found else "the pattern is not found in it"
        return valid(words) if found == self._wants_match else invalid(words)

    def _found(self, text: str) -> bool:
        return self._pattern.search(text, timeout=self._timeout_s, concurrent=True) is not None
