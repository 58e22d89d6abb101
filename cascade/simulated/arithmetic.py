"""Questions that are a calculation: expressions in signs or words, remainders, gcd and lcm, primes, linear equations.

Pure. A question is recognised only as a whole: what is left after the pleasantries must fit a row of the table.
"""

import math
import re
from collections.abc import Callable
from fractions import Fraction

from cascade.simulated.expressions import CHARACTERS, NotArithmeticError, evaluate, flat
from cascade.simulated.numbers import NUMBER, show, with_digits
from cascade.simulated.tasks import ARITHMETIC, Task, TooLargeError, Work, make_task

_LEAD = re.compile(
    r"(?:(?:please|can you|could you|would you|tell me|i need to know|what is|what's|whats|what are|what "
    r"does|calculate|"
    r"compute|evaluate|find|work out|determine|how much is|give me|give|simplify|solve|help me|hey|hi|hello"
    r"|the|value of|"
    r"result of|result when|answer to|following|expression|quick question|question|q|so|and|then|now"
    r"|math)\b[\s,:;!.]*)+"
)
_TAIL = re.compile(
    r"(?:[\s,?.=:;]|(?<!\d)!|(?<!\w)(?:please|equal to|equals|equal|thanks|thank you|as a number|exactly"
    r"|evaluate to|be|together))+$"
)
_SIGNS = (
    (r"\u00d7|\u22c5", "*"),
    (r"\u00f7", "/"),
    (r"\u2212|\u2013", "-"),
    (r"\*\*", "^"),
    (r"(?<=\d) ?x ?(?=\d)", "*"),
    (r"\bmultiplied by\b|\btimes\b", "*"),
    (r"\bdivided by\b|\bover\b", "/"),
    (r"\bplus\b|\badded to\b", "+"),
    (r"\bminus\b", "-"),
    (r"\b(?:raised )?to the power(?: of)?\b", "^"),
    (r"\bsquared\b", "^2"),
    (r"\bcubed\b", "^3"),
    (r"\bmodulo\b|\bmod\b", "%"),
)
_MAX_TERMS = 5000
_MAX_SIDE = 120


def normal(text: str) -> str:
    """Lower case, digits for number words, signs for operators in words."""
    text = with_digits(re.sub(r"\s+", " ", text.lower())).strip()
    for pattern, sign in _SIGNS:
        text = re.sub(pattern, sign, text)
    return text


def core(text: str) -> str:
    """The question without its pleasantries."""
    lead = _LEAD.match(text)
    return _TAIL.sub("", text[lead.end() :] if lead else text).strip()


def _expression(match: re.Match[str]) -> Task | None:
    text = match[0].replace("$", "")
    work = Work()
    value = evaluate(text, work)
    if not work.steps:
        return None
    work.cost += 0.02 * text.count("(")
    slip = flat(text)
    return work.task(value, [slip] if slip is not None else [])


def _percent(match: re.Match[str]) -> Task:
    work = Work()
    part = work.do("/", Fraction(match["p"]), Fraction(100))
    value = work.do("*", part, Fraction(match["n"]))
    return work.task(value, [value * 10, Fraction(match["n"]) - value])


def _common(match: re.Match[str]) -> Task | None:
    numbers = [int(number) for number in re.findall(r"\d+", match["list"])]
    greatest = bool(re.search("gcd|gcf|hcf|greatest|highest", match["kind"]))
    if len(numbers) < len("ab") or 0 in numbers or max(numbers) > _MAX_TERMS**2:
        return None
    value = math.gcd(*numbers) if greatest else math.lcm(*numbers)
    size = sum(len(str(number)) for number in numbers)
    cost = (0.14 if greatest else 0.2) + 0.06 * size + 0.08 * (len(numbers) - 2)
    name = "gcd" if greatest else "lcm"
    slips = [max(numbers), math.prod(numbers), value * 2, min(numbers)]
    step = f"the {name} of {', '.join(map(str, numbers))} is {value}"
    return make_task(ARITHMETIC, str(value), cost, [step], map(str, slips))


def _remainder(match: re.Match[str]) -> Task | None:
    base, exponent, modulus = int(match["a"]), int(match["b"] or 1), int(match["m"])
    if not modulus or max(base, exponent, modulus) > 10**12:
        return None
    value = pow(base, exponent, modulus)
    cost = 0.1 + 0.045 * len(match["a"] + match["m"]) + (0.3 + 0.07 * len(match["b"]) if match["b"] else 0)
    work = Work()
    step = f"{match['a']}{'^' + match['b'] if match['b'] else ''} leaves {value} when divided by {modulus}"
    work.note(step, Fraction(value), cost)
    return work.task(Fraction(value), [Fraction(base // modulus), Fraction(modulus - value)])


def primes_below(limit: int) -> list[int]:
    """All primes smaller than the limit, by the sieve."""
    sieve = bytearray([1]) * max(limit, 2)
    sieve[0:2] = b"\0\0"
    for number in range(2, math.isqrt(len(sieve)) + 1):
        sieve[number * number :: number] = bytes(len(range(number * number, len(sieve), number)))
    return [number for number in range(limit) if sieve[number]]


def _primes(match: re.Match[str]) -> Task | None:
    limit = int(match["n"])
    if limit > _MAX_TERMS:
        return None
    included = not re.search("below|less|under|smaller", match["how"])
    found = primes_below(limit + included)
    counted = "how many" in match[0] or "number of" in match[0]
    value = len(found) if counted else sum(found)
    cost = (0.3 if counted else 0.36) + 0.025 * len(found)
    slips = [value + 1, value - 1] if counted else [value + 1, value - 2, value - max(found, default=9)]
    shown = ", ".join(map(str, found[:12]))
    step = f"the primes are {shown}{', ...' if len(found) > 12 else ''}"  # noqa: PLR2004 - as many as a line holds
    return make_task(ARITHMETIC, str(value), cost, [step], map(str, slips))


def _series(match: re.Match[str]) -> Task:
    first, last = Fraction(match["a"]), Fraction(match["b"])
    work = Work()
    terms = work.do("+", work.do("-", last, first), Fraction(1))
    value = work.do("/", work.do("*", terms, work.do("+", first, last)), Fraction(2))
    return work.task(value, [value - last, value * 2])


def _factorial(match: re.Match[str]) -> Task | None:
    number = int(match["n"] or match["m"])
    if number > 25:  # noqa: PLR2004 - 25! has 26 digits, enough for anyone
        return None
    value = math.factorial(number)
    work = Work()
    work.note(f"{number}! = {value}", Fraction(value), 0.08 + 0.07 * number)
    return work.task(Fraction(value), [Fraction(value, number or 1), Fraction(number * (number - 1))])


def _root(match: re.Match[str]) -> Task | None:
    number = int(match["n"])
    value = math.isqrt(number)
    if value * value != number:
        return None
    work = Work()
    work.note(f"{value} * {value} = {number}", Fraction(value), 0.04 * len(match["n"]) + 0.04)
    return work.task(Fraction(value), [Fraction(number, 2)])


def _between(operation: str) -> Callable[[re.Match[str]], Task]:
    def solve(match: re.Match[str]) -> Task:
        left, right = Fraction(match["a"]), Fraction(match["b"])
        work = Work()
        return work.task(work.do(operation, left, right))

    return solve


def _swapped(match: re.Match[str]) -> Task:
    work = Work()
    return work.task(work.do("-", Fraction(match["b"]), Fraction(match["a"])))


_PAIR = rf"of (?P<a>{NUMBER}) and (?P<b>{NUMBER})"
_TABLE: tuple[tuple[str, Callable[[re.Match[str]], Task | None]], ...] = (
    (rf"(?P<p>{NUMBER}) ?(?:%|percent|per cent) of \$?(?P<n>{NUMBER})", _percent),
    (
        (
            r"(?P<kind>gcd|gcf|hcf|lcm|(?:greatest|highest) common (?:divisor|factor)|(?:least|lowest|smallest) common "
            r"multiple)(?: \((?:gcd|lcm|gcf|hcf)\))?(?: of| for)? ?\(?(?P<list>\d+(?:(?: ?, ?(?:and )?| and )\d+)+)\)?"
        ),
        _common,
    ),
    (
        (
            r"remainder (?:when|if|of|after)(?: dividing)? ?\(?(?P<a>\d{1,12})(?: ?\^ ?\(?(?P<b>\d{1,12})\)?)?\)?"
            r"(?: is| are)?(?: ?/ ?| divided by | by )(?P<m>\d{1,12})"
        ),
        _remainder,
    ),
    (r"\(?(?P<a>\d{1,12}) ?\^ ?(?P<b>\d{1,12})\)? ?% ?(?P<m>\d{1,12})", _remainder),
    (r"\(?(?P<a>\d{1,12})\)? ?(?P<b>(?!))?% ?(?P<m>\d{1,12})", _remainder),
    (
        (
            r"(?:how many|number of|sum of(?: all)?(?: the)?) (?:all )?(?:the )?prime(?:s| numbers)(?: are| "
            r"is)?(?: there)?"
            r"(?: that are)? (?P<how>below|less than|under|smaller than|up to|not exceeding|until|at most) "
            r"(?P<n>\d{1,5})"
            r"(?: are there| exist)?"
        ),
        _primes,
    ),
    (
        (
            r"sum of (?:all )?(?:the )?(?:integers|numbers|whole numbers|natural numbers)?(?: from| between)? ?"
            r"(?P<a>\d{1,9}) (?:to|through|and) (?P<b>\d{1,9})(?: inclusive)?"
        ),
        _series,
    ),
    (rf"sum {_PAIR}", _between("+")),
    (rf"(?:product|multiplication) {_PAIR}", _between("*")),
    (rf"quotient {_PAIR}", _between("/")),
    (rf"difference (?:of|between) (?P<a>{NUMBER}) and (?P<b>{NUMBER})", _between("-")),
    (rf"add (?P<a>{NUMBER}) (?:and|to) (?P<b>{NUMBER})", _between("+")),
    (rf"subtract (?P<a>{NUMBER}) from (?P<b>{NUMBER})", _swapped),
    (rf"multiply (?P<a>{NUMBER}) (?:by|and|with) (?P<b>{NUMBER})", _between("*")),
    (rf"divide (?P<a>{NUMBER}) by (?P<b>{NUMBER})", _between("/")),
    (r"(?P<n>\d{1,3}) ?!|(?:factorial of|factorial) (?P<m>\d{1,3})", _factorial),
    (r"(?:square root of|sqrt\(?|sqrt of) ?(?P<n>\d{1,12})\)?", _root),
    (CHARACTERS, _expression),
)
_ROWS = tuple((re.compile(pattern), solve) for pattern, solve in _TABLE)
_EQUATION = re.compile(r"(?P<left>[\dx+\-*/(). ]{1,120})=(?P<right>[\dx+\-*/(). ]{1,120})")
_WANTED = re.compile(
    r"\bsolve\b|\bx\b(?: ?is)? ?\?|\bfind (?:the value of )?x\b|\bwhat (?:is|must|does)\b.{0,30}\bx\b|\bfor "
    r"x\b|value of x"
)


def _side(text: str, x: int) -> Fraction:
    joined = re.sub(r"(?<=[\dx)])\s*(?=[x(])", "*", text.strip(" .,"))
    return evaluate(joined.replace("x", f"({x})"), Work())


def _equation(text: str) -> Task | None:
    match = _EQUATION.search(text)
    if not match or not _WANTED.search(text) or "x" not in match["left"] + match["right"]:
        return None
    left, right = match["left"], match["right"]
    at = [_side(left, x) - _side(right, x) for x in range(3)]
    slope, start = at[1] - at[0], at[0]
    if slope == 0 or at[2] - at[1] != slope:
        return None
    work = Work()
    work.cost += 0.08 + 0.1 * (("x" in left) and ("x" in right)) + 0.1 * (left + right).count("(")
    work.note(f"collecting terms gives {show(slope)}x = {show(-start)}", -start, 0.03 * len(show(start)))
    value = work.do("/", -start, slope)
    return work.task(value, [-start - slope, -value])


def solve(question: str) -> Task | None:
    """The calculation that the question is as a whole; None where it is something else."""
    text = normal(question)
    if len(text) > _MAX_SIDE * 5 or not re.search(r"\d", text):
        return None
    rest = core(text)
    try:
        if "x" in rest and "=" in rest:
            return _equation(text)
        for pattern, row in _ROWS:
            if match := pattern.fullmatch(rest):
                return row(match)
    except (NotArithmeticError, TooLargeError):
        return None
    return None
