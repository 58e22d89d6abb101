"""How deep JSON is nested: deeper than this is an attack on parsers, from clients and upstreams alike.

The law of this file: pure; it looks level by level, so that no depth exhausts its own stack.
"""

from __future__ import annotations

from typing import Any

#: Far deeper than any request or answer, far less than what orjson writes (254).
MAX_DEPTH = 64


def too_deep(value: Any) -> bool:
    """Whether parsed JSON is nested more than MAX_DEPTH levels deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in inside if isinstance(item, dict | list)]
