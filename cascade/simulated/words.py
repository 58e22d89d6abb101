"""Word problems of a known form: journeys, prices, percentages in a row, ratios, rates.

Pure. Each form is one function from lower-case text with digits to a task or None; stories told step by step are next
door in `stories.py`.
"""

import re
from collections.abc import Callable
from fractions import Fraction

from cascade.simulated.numbers import NUMBER
from cascade.simulated.tasks import Task, TooLargeError, Work

_UNIT = r"(?:km|kilomet(?:er|re)s?|miles?|m|met(?:er|re)s?)"
_SPEED = rf"(?P<v>{NUMBER}) ?(?:(?:km|miles|m)/h|kph|kmh|mph|{_UNIT} (?:per|an|each) hour)"
_LEG = re.compile(rf"{_SPEED}\b.{{0,40}}?\bfor (?:another |a further )?(?P<t>{NUMBER}) hours?")
_ALONE = re.compile(_SPEED)
_LENGTH = re.compile(rf"(?P<d>{NUMBER}) ?{_UNIT}\b(?! (?:per|an|each) hour|/)")
_HOURS = re.compile(rf"(?P<t>{NUMBER}) hours?")
_PERCENT = re.compile(
    rf"(?P<a>{NUMBER}) ?(?:%|percent) (?:\w+ )?(?P<kind>off|discount|tax|tip|increase|decrease|raise|markup"
    rf"|reduction|fee)\b"
    rf"|(?P<verb>discounted|reduced|increased|raised|lowered|cut|marked up|marked down|rises|falls|drops|grows|goes up"
    rf"|goes down|decreased)(?: by)? (?P<b>{NUMBER}) ?(?:%|percent)"
)
_DOWN = re.compile(r"off|discount|decrease|reduc|lower|cut|down|falls|drops")
_MONEY = re.compile(rf"\$ ?(?P<n>{NUMBER})|(?P<m>{NUMBER}) (?:dollars|euros)")
_PRICE = re.compile(
    rf"(?P<name>[a-z]+) (?:costs?|sells? for|is priced at|goes for|is sold for|are priced at|are)"
    rf" ?\$?(?P<n>{NUMBER})(?: dollars| euros)?(?= |[.,?;]|$)"
)
_PAID = re.compile(rf"(?:pays?|paid|paying)(?: with| using)?(?: an?)? \$?(?P<n>{NUMBER})")
_COUNTED = re.compile(r"(?<![$.\d])(?P<n>\d+) (?P<name>[a-z]+)")
_RATIO = re.compile(r"\b(?P<r>\d+(?: ?: ?\d+)+|\d+ to \d+)\b")
_RATE = re.compile(rf"(?P<n>{NUMBER}) [a-z]+(?: [a-z]+)? in (?P<t>{NUMBER}) (?P<unit>hour|minute|day|week|second)s?")
_RATE_ASKED = re.compile(rf"\bin (?P<t>{NUMBER}) (?P<unit>hour|minute|day|week|second)s?")
_PER = re.compile(
    rf"\$?(?P<n>{NUMBER})(?: dollars| euros)? (?:per|an|a|each|every) (?P<unit>hour|day|week|month|minute)"
)
_PER_ASKED = re.compile(r"(?P<t>\d+) (?P<unit>hour|day|week|month|minute)s?\b")
_TOTAL = re.compile(r"altogether|in total|in all|total|together")


def _numbers(text: str) -> int:
    return len(re.findall(NUMBER, text))


def singular(noun: str) -> str:
    """A noun's stem, good enough to match "boxes" with "box"."""
    for ending, stem in (("ies", "y"), ("ches", "ch"), ("xes", "x"), ("shes", "sh"), ("s", "")):
        if noun.endswith(ending) and not noun.endswith("ss"):
            return noun[: -len(ending)] + stem
    return noun


def _legs(text: str, work: Work) -> tuple[Fraction, Fraction, list[Fraction]]:
    distance, hours = Fraction(0), Fraction(0)
    parts: list[Fraction] = []
    for leg in _LEG.finditer(text):
        part = work.do("*", Fraction(leg["v"]), Fraction(leg["t"]))
        distance = work.do("+", distance, part) if parts else part
        hours += Fraction(leg["t"])
        parts.append(part)
    return distance, hours, parts


def journey(text: str) -> Task | None:
    """Speed, distance and time, over one leg or several."""
    work = Work()
    work.cost += 0.05
    legs = len(_LEG.findall(text))
    if legs and _numbers(text) == 2 * legs:
        distance, hours, parts = _legs(text, work)
        if "average speed" in text:
            speeds = [Fraction(leg["v"]) for leg in _LEG.finditer(text)]
            return work.task(work.do("/", distance, hours), [sum(speeds, Fraction(0)) / legs])
        return work.task(distance, parts[:1]) if re.search("how far|distance|how many", text) else None
    length, speed, hours_given = _LENGTH.search(text), _ALONE.search(text), _HOURS.search(text)
    if not length or _numbers(text) != len("ab"):
        return None
    if speed and re.search("how long|how many hours|how much time", text):
        return work.task(work.do("/", Fraction(length["d"]), Fraction(speed["v"])))
    if hours_given and re.search("speed|how fast", text):
        return work.task(work.do("/", Fraction(length["d"]), Fraction(hours_given["t"])))
    return None


def percentages(text: str) -> Task | None:
    """A price and percentages applied one after the other."""
    base, changes = _MONEY.search(text), list(_PERCENT.finditer(text))
    asked = re.search("how much|final|what is|what does|new price|pay|cost", text)
    if not base or not changes or not asked or _numbers(text) != len(changes) + 1:
        return None
    work = Work()
    start = value = Fraction(base["n"] or base["m"])
    simple = Fraction(0)
    for change in changes:
        percent = Fraction(change["a"] or change["b"])
        down = bool(_DOWN.search(change["kind"] or change["verb"]))
        part = work.do("/", work.do("*", value, percent), Fraction(100))
        simple += -percent if down else percent
        value = work.do("-" if down else "+", value, part)
    if re.search("how much (?:is|do you|does \\w+) (?:the discount|saved?)", text):
        return None
    return work.task(value, [start * (100 + simple) / 100, start + simple])


def shopping(text: str) -> Task | None:
    """Prices of things, how many of each, and perhaps the change."""
    prices = {singular(match["name"]): Fraction(match["n"]) for match in _PRICE.finditer(text)}
    rest = _PAID.sub(" ", _PRICE.sub(" ", text))
    wanted = [(Fraction(match["n"]), singular(match["name"])) for match in _COUNTED.finditer(rest)]
    wanted = [(count, name) for count, name in wanted if name in prices]
    paid = _PAID.search(text)
    if not wanted or not re.search("how much|total|cost|change|spend|pay", text):
        return None
    if _numbers(text) != len(prices) + len(wanted) + (paid is not None) or len(prices) > len(wanted):
        return None
    work = Work()
    total = Fraction(0)
    for count, name in wanted:
        part = work.do("*", count, prices[name])
        total = work.do("+", total, part) if len(work.steps) > 1 else part
    if paid and "change" in text:
        return work.task(work.do("-", Fraction(paid["n"]), total), [total])
    return None if paid else work.task(total, [sum(prices.values(), Fraction(0))])


def _shares(text: str, parts: list[Fraction], work: Work) -> Fraction | None:
    amount = re.search(NUMBER, _RATIO.sub(" ", text))
    if not amount:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = work.do("+", total, part)
    unit = work.do("/", Fraction(amount[0]), total)
    if re.search("larg|bigg|great", text):
        return work.do("*", unit, max(parts))
    return work.do("*", unit, min(parts)) if re.search("small|least", text) else None


def _other_side(text: str, parts: list[Fraction], work: Work) -> Fraction | None:
    named = re.search(r"ratio of (\w+) to (\w+)", text)
    rest = _RATIO.sub(" ", text)
    given = re.search(rf"({NUMBER}) (\w+)", rest)
    asked = re.search(r"how many (\w+)", rest)
    if not named or not given or not asked or len(parts) != len("ab"):
        return None
    names = [singular(named[1]), singular(named[2])]
    if singular(asked[1]) not in names:
        return None
    index = names.index(singular(asked[1]))
    if singular(given[2]) == names[1 - index]:
        return work.do("*", work.do("/", Fraction(given[1]), parts[1 - index]), parts[index])
    if _TOTAL.search(rest):
        return work.do("*", work.do("/", Fraction(given[1]), work.do("+", *parts)), parts[index])
    return None


def ratio(text: str) -> Task | None:
    """Sharing in a ratio, and finding one side from the other or from the total."""
    found = _RATIO.search(text)
    if not found or "ratio" not in text:
        return None
    parts = [Fraction(number) for number in re.findall(r"\d+", found["r"])]
    if _numbers(text) != len(parts) + 1:
        return None
    work = Work()
    work.cost += 0.12
    shared = re.search(r"shar|split|divid", text)
    value = _shares(text, parts, work) if shared else _other_side(text, parts, work)
    return work.task(value, [work.values[0]]) if value is not None else None


def rate(text: str) -> Task | None:
    """So many in a given time, or so much per hour: how many in another time?"""
    known = _RATE.search(text)
    work = Work()
    if known and _numbers(text) == len("abc"):
        asked = _RATE_ASKED.search(text, known.end())
        if not asked or asked["unit"] != known["unit"] or "how many" not in text:
            return None
        unit = work.do("/", Fraction(known["n"]), Fraction(known["t"]))
        return work.task(work.do("*", unit, Fraction(asked["t"])), [Fraction(known["n"]) * Fraction(asked["t"])])
    per = _PER.search(text)
    if not per or _numbers(text) != len("ab") or not re.search("how (?:many|much)", text):
        return None
    asked = _PER_ASKED.search(text, per.end())
    if not asked or asked["unit"] != per["unit"]:
        return None
    return work.task(work.do("*", Fraction(per["n"]), Fraction(asked["t"])))


_FORMS: tuple[Callable[[str], Task | None], ...] = (journey, percentages, shopping, ratio, rate)


def solve(text: str) -> Task | None:
    """The first form that fits; the text is lower-case with digits."""
    for form in _FORMS:
        try:
            if task := form(text):
                return task
        except TooLargeError:
            continue
    return None
