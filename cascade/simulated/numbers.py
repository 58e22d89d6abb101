"""Numbers in text: reading words and digits, writing exact values.

Pure. Values are Fractions, so nothing is lost between steps; only `show` rounds.
"""

import re
from fractions import Fraction

NUMBER = r"-?\d+(?:\.\d+)?"
_ONES = dict(
    zip(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ],
        range(20),
        strict=True,
    )
)
_TENS = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
)
_WORDED = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<unit>{'|'.join(list(_ONES)[1:10])}))?|(?P<one>{'|'.join(_ONES)}))"
    r"\b(?P<hundred> hundred\b)?",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")
_FOUR_PLACES = 10**4


def _digits_of(match: re.Match[str]) -> str:
    value = _ONES.get((match["one"] or "zero").lower(), 0)
    value += _TENS.get((match["tens"] or "").lower(), 0) + _ONES.get((match["unit"] or "zero").lower(), 0)
    return str(value * (100 if match["hundred"] else 1))


def with_digits(text: str) -> str:
    """Number words as digits ("twenty-five" as 25, "a dozen" as 12), thousands commas removed."""
    text = re.sub(r"\b(?:a|one) dozen\b", "12", text, flags=re.IGNORECASE)
    text = _WORDED.sub(_digits_of, text)
    return _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)


def read(text: str) -> Fraction | None:
    """The number a text is, with or without a currency sign, a percent sign or thousands commas; else None."""
    bare = text.strip().strip("$%").replace(",", "").strip()
    return Fraction(bare) if re.fullmatch(r"[-+]?\d{1,60}(?:\.\d{1,30})?|[-+]?\d{1,30}/0*[1-9]\d{0,30}", bare) else None


def show(value: Fraction) -> str:
    """Whole numbers plainly, others as decimals: exact up to four places, else rounded to two."""
    if value.denominator == 1:
        return str(value.numerator)
    exact = (value * _FOUR_PLACES).denominator == 1
    return f"{float(value):.4f}".rstrip("0") if exact else f"{float(value):.2f}"


def digits(value: Fraction) -> int:
    """How many digits a person has to carry along: no trailing zeros, one more where the number is not whole."""
    return max(1, len(str(abs(int(value))).rstrip("0"))) + (value.denominator != 1)
