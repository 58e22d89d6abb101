"""The request headers of wire.md -> `Wishes`; a bad value is an error that names it, never ignored.

The law of this file: pure; one function a header, one table of all of them.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from router.domain import BudgetEnd, StreamMode, Wishes
from router.errors import RequestError
from router.pricing import NANOUSD_PER_USD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "x-gearbox-"
_MAX_USD = Decimal(1_000_000)
_MAX_TAGS = 16
_MAX_SHOWN = 80
_LONGEST_COUNT = 4
_TAG_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_TAG_VALUE = 256
_PLAIN = re.compile(r"[\x21-\x7e]{1,255}")


def wishes(headers: Mapping[str, str]) -> Wishes:
    """Read every header we know.

    Raises:
        RequestError: a value is not what the header takes; a header `x-gearbox-...` that we do not know.
    """
    given: dict[str, Any] = {}
    for name, text in headers.items():
        if name in _READERS:
            field, read = _READERS[name]
            given[field] = read(name, text.strip())
        elif name.startswith(PREFIX) and name not in _ELSEWHERE:
            known = ", ".join(sorted(header for header in (*_READERS, *_ELSEWHERE) if header.startswith(PREFIX)))
            raise RequestError(f"unknown header {name[:_MAX_SHOWN]}; there are: {known}", param=name[:_MAX_SHOWN])
    return Wishes(**given)


def _bad(name: str, text: str, wanted: str) -> RequestError:
    return RequestError(f"{name}: {text[:_MAX_SHOWN]!r} is not {wanted}", param=name)


def _budget(name: str, text: str) -> int:
    wanted = "an amount in USD, decimal or exponent notation, from 0.000000001 to 1000000, such as 0.002 or 2e-3"
    try:
        usd = Decimal(text)
    except InvalidOperation as error:
        raise _bad(name, text, wanted) from error
    if not usd.is_finite() or not 0 < usd <= _MAX_USD or "_" in text:
        raise _bad(name, text, wanted)
    # Rounded down: what is spent must never exceed what the caller wrote.
    nanousd = int(usd * NANOUSD_PER_USD)
    if nanousd == 0:
        raise _bad(name, text, wanted)
    return nanousd


def _share(name: str, text: str) -> float:
    value = _number(text)
    if value is None or not 0 <= value <= 1:
        raise _bad(name, text, "a probability from 0 to 1")
    return value


def _seconds(name: str, text: str) -> float:
    value = _number(text)
    if value is None or value <= 0:
        raise _bad(name, text, "a number of seconds above 0")
    return value


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _one_of(*allowed: str) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in allowed:
            raise _bad(name, text, f"one of {', '.join(allowed)}")
        return text

    return read


def _budget_end(name: str, text: str) -> BudgetEnd:
    return BudgetEnd(_one_of(*BudgetEnd)(name, text))


def _stream_mode(name: str, text: str) -> StreamMode:
    return StreamMode(_one_of(*StreamMode)(name, text))


def _on_off(name: str, text: str) -> bool:
    return _one_of("on", "off")(name, text) == "on"


def _plain(name: str, text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise _bad(name, text, "1 to 255 visible ASCII characters")
    return text


def _retry_count(name: str, text: str) -> int:  # noqa: ARG001 - as the others
    """OpenAI's SDK counts its own tries; anything else there is not ours to refuse."""
    return int(text) if text.isdecimal() and len(text) < _LONGEST_COUNT else 0


def _tags(name: str, text: str) -> dict[str, str]:
    wanted = f"at most {_MAX_TAGS} pairs such as app=search,feature=faq (names: letters, digits, _ . -)"
    pairs = [pair.strip() for pair in text.split(",") if pair.strip()]
    tags: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not _TAG_NAME.fullmatch(key) or key in tags or len(value) > _MAX_TAG_VALUE:
            raise _bad(name, text, wanted)
        tags[key] = value
    if not tags or len(tags) > _MAX_TAGS:
        raise _bad(name, text, wanted)
    return tags


#: Headers that are read where they are needed: which policy serves is decided together with `model`.
_ELSEWHERE = frozenset({"x-gearbox-policy"})

#: header -> (field of `Wishes`, how it is read)
_READERS: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "x-gearbox-budget-usd": ("cap_nanousd", _budget),
    "x-gearbox-budget-end": ("budget_end", _budget_end),
    "x-gearbox-quality": ("quality", _share),
    "x-gearbox-min-tier": ("min_tier", _plain),
    "x-gearbox-max-tier": ("max_tier", _plain),
    "x-gearbox-max-latency-s": ("max_latency_s", _seconds),
    "x-gearbox-stream": ("stream_mode", _stream_mode),
    "x-gearbox-tags": ("tags", _tags),
    "x-gearbox-session": ("session", _plain),
    "x-gearbox-store": ("store", _on_off),
    "x-gearbox-cache": ("cache", _on_off),
    "idempotency-key": ("idempotency_key", _plain),
    "x-stainless-retry-count": ("retry_count", _retry_count),
}
#: Headers that a key may have defaults for; the request's own wins.
DEFAULTABLE = tuple(sorted(name for name in (*_READERS, *_ELSEWHERE) if name.startswith(PREFIX)))
