"""Numbers for people: percent and money, one spelling everywhere.

The law of this file: pure; rounding happens here and nowhere earlier.
"""

from __future__ import annotations

from router.pricing import NANOUSD_PER_USD

#: From this many USD on, two decimals are enough.
_LARGE_USD = 100


def points(share: float | None, places: int = 2) -> str:
    """A share from 0 to 1 in percent; "-" for None."""
    return "-" if share is None else f"{100 * share:.{places}f}"


def usd(nanousd: float) -> str:
    """Nano-dollars as USD with four significant digits or so: 15.87, 1.945, 0.0831."""
    value = nanousd / NANOUSD_PER_USD
    if abs(value) >= _LARGE_USD:
        return f"{value:,.2f}"
    if value == 0:
        return "0"
    return f"{value:.3f}" if abs(value) >= 1 else f"{value:.4f}" if abs(value) >= 0.01 else f"{value:.2g}"  # noqa: PLR2004 - decimals, not a rule
