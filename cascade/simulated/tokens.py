"""The simulated tiers' tokenizer: deterministic, reversible, about as many tokens as a real one.

Pure. `"".join(pieces(text)) == text` for every text.
"""

import re

_PIECE = re.compile(r" ?[^\W\d_]{1,8}| ?\d{1,9}| ?[^\w\s]|_|\s")


def pieces(text: str) -> list[str]:
    """The text's tokens in order."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """How many tokens the text has."""
    return sum(1 for _ in _PIECE.finditer(text))
