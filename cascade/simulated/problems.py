"""Questions with their answers, of rising difficulty, for the demo, the tests and recordings.

Pure and seeded. The answers are calculated here from the numbers that made the question, never from its text, so a
reader of the text can be checked against them; only the difficulty is the solver's own estimate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import TypeAlias

from cascade.simulated.chance import Draw
from cascade.simulated.numbers import show
from cascade.simulated.recognise import recognise
from cascade.simulated.tasks import ARITHMETIC, LISTS

_NAMES = ("Tom", "Mia", "Ann", "Ben", "Lena", "Omar", "Ravi", "Sofia", "Kenji", "Nora")
_THINGS = ("apples", "marbles", "stickers", "pencils", "cookies", "books", "shells", "coins")
_GOODS = ("pen", "notebook", "ruler", "cup", "plate", "ticket", "sandwich", "lamp")
_NOUNS = (
    "banana",
    "strawberry",
    "mississippi",
    "level",
    "planet",
    "garden",
    "bookkeeper",
    "racecar",
    "algorithm",
    "river",
)
_FRUIT = ("pear", "fig", "banana", "kiwi", "apple", "cherry", "grape", "melon", "plum", "apricot", "mango", "lemon")
_CANDIDATES = 6
#: (share of the problems, difficulty up to which they spread evenly)
_SPREAD = ((0.51, 0.33), (0.2, 0.66), (0.16, 0.95), (0.13, 1.0))


@dataclass(frozen=True, slots=True)
class Problem:
    """One question, its right answer as the tiers write it, its difficulty in 0..1 and its family."""

    question: str
    answer: str
    difficulty: float
    family: str


_Made: TypeAlias = tuple[str, str]
Maker: TypeAlias = Callable[[Draw, float], _Made]


def _size(level: float, low: int, high: int) -> int:
    return low + round(level * (high - low))


def _listed(values: "list[int] | list[str]") -> str:
    return f"[{', '.join(map(str, values))}]"


def _numbers(draw: Draw, level: float) -> list[int]:
    top = _size(level, 9, 99)
    return [draw.whole(1, top) for _ in range(_size(level, 4, 9))]


def _two_numbers(draw: Draw, level: float) -> _Made:
    top = 10 ** _size(level, 1, 4) - 1
    a, b = draw.whole(2, top), draw.whole(2, top)
    signs = [("+", "plus", a + b), ("-", "minus", a - b), ("*", "times", a * b)]
    sign, word, value = draw.pick(signs)
    forms = (
        "What is {a} {s} {b}?",
        "Calculate {a} {s} {b}.",
        "What is {a} {w} {b}?",
        "{a} {s} {b} = ?",
        "Compute {a}{s}{b}",
    )
    return draw.pick(forms).format(a=a, b=b, s=sign, w=word), str(value)


def _mixed(draw: Draw, level: float) -> _Made:
    top = _size(level, 9, 60)
    a, b, c, d = (draw.whole(2, top) for _ in range(4))
    e = draw.whole(2, 9)
    rows = (
        (f"{a} + {b} * {c}", a + b * c),
        (f"({a} + {b}) * {c} - {d}", (a + b) * c - d),
        (f"{a} * {b} - {c} * {d}", a * b - c * d),
        (f"({a} + {b}) * ({c} - {d}) + {c * e} / {e}", (a + b) * (c - d) + c),
        (f"{e}^3 - {a} * ({b} + {c})", e**3 - a * (b + c)),
    )
    text, value = draw.pick(rows)
    return draw.pick(("What is {}?", "Evaluate {}.", "Please calculate {}", "Work out the value of {}.")).format(
        text
    ), str(value)


def _percent(draw: Draw, level: float) -> _Made:
    percent, base = draw.pick((5, 10, 15, 20, 25, 40, 50, 75)), draw.whole(1, _size(level, 9, 99)) * 20
    form = draw.pick(("What is {}% of {}?", "How much is {} percent of {}?", "Find {}% of {}."))
    return form.format(percent, base), str(percent * base // 100)


def _common(draw: Draw, level: float) -> _Made:
    unit = draw.whole(2, _size(level, 6, 24))
    a, b = unit * draw.whole(2, 9), unit * draw.whole(2, 9)
    names = (
        ("greatest common divisor", gcd(a, b)),
        ("gcd", gcd(a, b)),
        ("least common multiple", lcm(a, b)),
        ("lcm", lcm(a, b)),
    )
    name, value = draw.pick(names)
    return draw.pick(("What is the {} of {} and {}?", "Find the {} of {} and {}.")).format(name, a, b), str(value)


def _modular(draw: Draw, level: float) -> _Made:
    modulus = draw.whole(3, _size(level, 9, 97))
    if draw.unit() < level:
        base, exponent = draw.whole(2, 12), draw.whole(10, 99)
        return f"What is the remainder when {base}^{exponent} is divided by {modulus}?", str(
            pow(base, exponent, modulus)
        )
    number = draw.whole(50, _size(level, 200, 9999))
    return draw.pick(("What is {} mod {}?", "Compute {} modulo {}.")).format(number, modulus), str(number % modulus)


def _primes(draw: Draw, level: float) -> _Made:
    limit = draw.whole(10, _size(level, 20, 90))
    found = [n for n in range(2, limit) if all(n % k for k in range(2, n))]
    if draw.unit() < 1 / 2:
        return f"Find the sum of all primes below {limit}.", str(sum(found))
    return f"How many prime numbers are there less than {limit}?", str(len(found))


def _equation(draw: Draw, level: float) -> _Made:
    x, a, b, c = draw.whole(1, 20), draw.whole(3, 12), draw.whole(1, 30), draw.whole(1, 2)
    if draw.unit() > level:
        form = draw.pick(("Solve {}x + {} = {}", "If {}x + {} = {}, what is x?", "Find x if {}x + {} = {}."))
        return form.format(a, b, a * x + b), str(x)
    right = a * (x + b) - c * x
    return f"Solve for x: {a}(x + {b}) = {c}x + {right}", str(x)


def _story(draw: Draw, level: float) -> _Made:
    name, other = draw.sample(_NAMES, 2)
    thing = draw.pick(_THINGS)
    have = draw.whole(10, _size(level, 20, 90))
    gained, lost = draw.whole(2, 40), draw.whole(1, 9)
    text = draw.pick((f"{name} has {have} {thing}. ", f"{name} starts with {have} {thing}. "))
    verb = draw.pick(("buys {} more", "finds {} more", "gets another {}"))
    text += f"{name} {verb.format(gained)} and then gives {lost} to {other}. "
    value = have + gained - lost
    if draw.unit() < level:
        friends = next(k for k in (4, 3, 5, 2, 7, 1) if value * 2 % k == 0)
        text += f"Then {name} doubles the collection and shares it equally among {friends} friends. "
        return f"{text}How many {thing} does each get?", str(value * 2 // friends)
    return text + f"How many {thing} does {name} have now?", str(value)


def _boxes(draw: Draw, level: float) -> _Made:
    name, thing = draw.pick(_NAMES), draw.pick(_THINGS)
    boxes, each, lost = draw.whole(3, _size(level, 9, 40)), draw.whole(4, _size(level, 9, 40)), draw.whole(2, 9)
    text = f"{name} has {boxes} boxes of {each} {thing}. {name} loses {lost} of them. How many {thing} are left?"
    return text, str(boxes * each - lost)


def _compare(draw: Draw, level: float) -> _Made:
    (one, two), thing = draw.sample(_NAMES, 2), draw.pick(_THINGS)
    have, more = draw.whole(5, _size(level, 20, 200)), draw.whole(2, 30)
    return (
        f"{one} has {have} {thing}. {two} has {more} more {thing} than {one}. How many do they have altogether?",
        str(2 * have + more),
    )


def _shop(draw: Draw, level: float) -> _Made:
    one, two = draw.sample(_GOODS, 2)
    p, q, m, n = (draw.whole(2, _size(level, 9, 30)) for _ in range(4))
    total = p * m + q * n
    text = f"A {one} costs ${p} and a {two} costs ${q}. "
    if draw.unit() < level:
        paid = (total // 50 + 1) * 50
        text += f"{draw.pick(_NAMES)} buys {m} {one}s and {n} {two}s and pays with ${paid}. "
        return text + "How much change is due?", str(paid - total)
    return text + f"How much do {m} {one}s and {n} {two}s cost in total?", str(total)


def _travel(draw: Draw, level: float) -> _Made:
    v, w = draw.whole(3, 12) * 10, draw.whole(3, 12) * 10
    t, u = draw.whole(2, 6), draw.whole(2, 6)
    if draw.unit() > level:
        return f"A train travels at {v} km/h for {t} hours. How far does it travel?", str(v * t)
    if draw.unit() < 1 / 2:
        return f"A car drives at {v} mph for {t} hours, then at {w} mph for {u} hours. How far does it go?", str(
            v * t + w * u
        )
    text = f"A bus goes at {v} mph for {t} hours and then at {w} mph for {u} hours. What is its average speed?"
    return text, show(Fraction(v * t + w * u, t + u))


def _discount(draw: Draw, level: float) -> _Made:
    price, down, up = draw.whole(2, _size(level, 9, 60)) * 20, draw.pick((10, 20, 25, 50)), draw.pick((5, 10, 20))
    less = Fraction(price * (100 - down), 100)
    if draw.unit() > level:
        return f"A jacket costs ${price}. It is {down}% off. What is the final price?", show(less)
    text = (
        f"A jacket costs ${price}. It is discounted by {down}% and then a {up}% tax is added. What is the final price?"
    )
    return text, show(less * (100 + up) / 100)


def _ratio(draw: Draw, level: float) -> _Made:
    a, b, unit = draw.whole(1, 5), draw.whole(6, 9), draw.whole(2, _size(level, 9, 30))
    if draw.unit() < 1 / 2:
        return f"Share {unit * (a + b)} dollars in the ratio {a}:{b}. How much is the larger share?", str(unit * b)
    return f"The ratio of cats to dogs is {a}:{b}. There are {unit * a} cats. How many dogs are there?", str(unit * b)


def _rate(draw: Draw, level: float) -> _Made:
    each, t, u = draw.whole(2, _size(level, 9, 40)), draw.whole(2, 6), draw.whole(7, 12)
    return f"A machine makes {each * t} widgets in {t} hours. How many widgets does it make in {u} hours?", str(
        each * u
    )


def _one_list(draw: Draw, level: float) -> _Made:
    values = _numbers(draw, level)
    listed = draw.pick((_listed(values), ", ".join(map(str, values))))
    rows: tuple[tuple[str, str], ...] = (
        ("What is the largest number in {}?", str(max(values))),
        ("Find the minimum of {}.", str(min(values))),
        ("What is the sum of {}?", str(sum(values))),
        ("Sort these numbers in ascending order: {}", _listed(sorted(values))),
        ("Sort {} from largest to smallest.", _listed(sorted(values, reverse=True))),
        ("Reverse the list {}.", _listed(values[::-1])),
        ("Remove duplicates from {}.", _listed(list(dict.fromkeys(values)))),
        ("What is the third element of {}?", str(values[2])),
        ("How many even numbers are in {}?", str(sum(n % 2 == 0 for n in values))),
    )
    form, answer = draw.pick(rows)
    return form.format(listed), answer


def _middle(draw: Draw, level: float) -> _Made:
    values = [*_numbers(draw, level)]
    values = values[: len(values) - 1 + len(values) % 2]
    return f"What is the median of {_listed(values)}?", str(sorted(values)[len(values) // 2])


def _chain(draw: Draw, level: float) -> _Made:
    values = _numbers(draw, level)
    text, now = f"Start with the list {_listed(values)}.", values
    unique = list(dict.fromkeys(now))
    steps: list[tuple[str, Callable[[list[int]], list[int]]]] = [
        ("reverse it", lambda v: v[::-1]),
        ("double each number", lambda v: [2 * n for n in v]),
        ("remove the first element", lambda v: v[1:]),
        ("sort it in descending order", lambda v: sorted(v, reverse=True)),
        ("add 3 to each number", lambda v: [n + 3 for n in v]),
    ]
    if len(unique) < len(now):
        steps.append(("remove the duplicates", lambda v: list(dict.fromkeys(v))))
    names = []
    for name, act in draw.sample(steps, _size(level, 1, 5)):
        names.append(name)
        now = act(now)
    ends = [("add them up", str(sum(now))), ("give the largest", str(max(now)))]
    if len(now) > 2:  # noqa: PLR2004 - three cannot be taken from fewer
        ends.append(("take the first 3 elements", _listed(now[:3])))
    end, answer = draw.pick(ends)
    return f"{text} First {', then '.join([*names, end])}.", answer


def _two_lists(draw: Draw, level: float) -> _Made:
    one = draw.sample(range(1, 20), _size(level, 4, 8))
    two = draw.sample(range(1, 20), _size(level, 4, 8))
    common = [n for n in one if n in two] or one[:1]
    two = two if set(one) & set(two) else [*two, one[0]]
    if draw.unit() < level:
        return f"What is the sum of the numbers common to {_listed(one)} and {_listed(two)}?", str(sum(common))
    return f"Which numbers are in both {_listed(one)} and {_listed(two)}?", _listed(common)


def _word(draw: Draw, level: float) -> _Made:
    word = draw.pick(_NOUNS)
    letter = draw.pick(word)
    vowels = sum(c in "aeiou" for c in word)
    rows: tuple[tuple[str, str], ...] = (
        (f"How many vowels are in the word {word}?", str(vowels)),
        (f"How many times does the letter {letter} appear in '{word}'?", str(word.count(letter))),
        (f'Reverse the string "{word}".', word[::-1]),
        (f"Is '{word}' a palindrome?", "yes" if word == word[::-1] else "no"),
        (f'Convert "{word}" to uppercase.', word.upper()),
        (f"How many letters are in '{word}'?", str(len(word))),
        (
            f'Reverse the string "{word}", then take the first 3 letters and convert them to uppercase.',
            word[::-1][:3].upper(),
        ),
        (f'Remove the vowels from "{word}" and then reverse it.', "".join(c for c in word if c not in "aeiou")[::-1]),
    )
    easy = _size(level, 3, len(rows))
    return draw.pick(rows[:easy])


def _cipher(draw: Draw, level: float) -> _Made:
    word, shift = draw.pick(_NOUNS), draw.whole(1, _size(level, 3, 12))
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    coded = word.translate(str.maketrans(alphabet, alphabet[shift:] + alphabet[:shift]))
    if draw.unit() < level:
        return f'Apply a Caesar shift of {shift} to "{word}" and then reverse the result.', coded[::-1]
    return f'Shift each letter of "{word}" by {shift} positions in the alphabet.', coded


def _word_list(draw: Draw, level: float) -> _Made:
    fruit = draw.sample(_FRUIT, _size(level, 4, 8))
    rows = (
        (f"Sort these words alphabetically: {', '.join(fruit)}", _listed(sorted(fruit))),
        (f"Sort the words by length: {', '.join(fruit)}", _listed(sorted(fruit, key=len))),
        (f"What is the longest word in {_listed(fruit)}?", max(fruit, key=len)),
        (
            f"Sort {_listed(fruit)} alphabetically, then take the last 2 words and reverse them.",
            _listed(sorted(fruit)[-2:][::-1]),
        ),
    )
    return draw.pick(rows)


MAKERS: tuple[tuple[str, Maker], ...] = (
    *((ARITHMETIC, maker) for maker in (_two_numbers, _mixed, _percent, _common, _modular, _primes, _equation, _story)),
    *((ARITHMETIC, maker) for maker in (_boxes, _compare, _shop, _travel, _discount, _ratio, _rate)),
    *((LISTS, maker) for maker in (_one_list, _middle, _chain, _two_lists, _word, _cipher, _word_list)),
)


def _target(place: float) -> float:
    """The difficulty wanted at a place in 0..1 of the series."""
    start = low = 0.0
    for share, high in _SPREAD:
        if place < start + share:
            return low + (high - low) * (place - start) / share
        start, low = start + share, high
    return 1.0


def _candidate(draw: Draw, target: float, family: str) -> Problem:
    maker = draw.pick([maker for kind, maker in MAKERS if kind == family])
    question, answer = maker(draw, max(0.0, 1.2 * target + draw.unit() - 0.5))
    task = recognise(question)
    return Problem(question, answer, task.difficulty if task else 1.0, family)


def problems(seed: int, n: int) -> list[Problem]:
    """`n` problems of rising difficulty, the two families in turn; the same seed gives the same list."""
    found = []
    for index in range(n):
        draw = Draw("problem", seed, index)
        target = _target(index / max(1, n))
        family = (ARITHMETIC, LISTS)[index % 2]
        candidates = [_candidate(draw, target, family) for _ in range(_CANDIDATES)]
        found.append(min(candidates, key=lambda problem: abs(problem.difficulty - target)))
    return sorted(found, key=lambda problem: problem.difficulty)
