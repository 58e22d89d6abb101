"""Stories told step by step: who has how many, who gains, loses, doubles and shares, and the question at the end.

Pure. A clause with a number in it that no row understands ends the attempt: half a story has no right answer.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from cascade.simulated.numbers import NUMBER, with_digits
from cascade.simulated.tasks import Task, TooLargeError, Work

_GAIN = (
    r"(?:buy|buys|bought|get|gets|got|find|finds|found|receives?|received|earns?|earned|collects?|collected"
    r"|picks?|picked|"
    r"bakes?|baked|makes?|made|adds?|added|wins?|won|(?:is|was|are) given|gains?|saves?|saved|arrive|join"
    r"|borrows?|plants?)"
)
_LOSS = (
    r"(?:gives?|gave|loses?|lost|eats?|ate|sells?|sold|spends?|spent|uses?|used|donates?|donated|breaks?|broke|throws?|"
    r"threw|drops?|dropped|removes?|leave|returns?|returned|lends?|lent|pays?|paid)"
)
_VERB = rf"(?:{_GAIN}|{_LOSS}|doubles?|triples?|shares?|splits?|divides?|then|later|half|each)"
_SPLIT = re.compile(
    r"[.;!?]+(?:\s+|$)|,\s*(?:(?:and|then|but|so|if)\s+)*"
    rf"|\s+(?:and|but)\s+(?:then\s+|later\s+)*(?=(?:(?:he|she|they|it|[a-z]+)\s+)?{_VERB}\b)|\s+then\s+"
)
_ASKED = re.compile(r"\bhow (?:many|much)\b")
_FOREIGN = re.compile(
    r"average|mean\b|percent more|probabil|ratio|fraction|\bold\b|older|\bways\b|area|perimeter|difference|\bprofit\b|"
    r"more than .*\?|hours?\b|speed|minutes?\b|per\b"
)
_SHARES = {"half": Fraction(1, 2), "a third": Fraction(1, 3), "a quarter": Fraction(1, 4), "a fifth": Fraction(1, 5)}
_FACTORS = {"double": 2, "triple": 3, "quadruple": 4}
_MAX_CHARS = 1200


@dataclass(slots=True)
class _Story:
    work: Work = field(default_factory=Work)
    held: dict[str, Fraction] = field(default_factory=dict)
    active: str = ""

    def who(self, clause: str) -> str:
        named = next((word for word in re.findall(r"[a-z]+", clause)[:3] if word in self.held), None)
        return named or self.active

    def change(self, name: str, operation: str, amount: Fraction) -> None:
        if name not in self.held:
            raise TooLargeError("nobody to whom this could happen")
        self.held[name] = self.work.do(operation, self.held[name], amount)
        self.active = name

    def start(self, name: str, amount: Fraction) -> None:
        self.held[name] = amount
        self.active = name


_Act = Callable[[_Story, "re.Match[str]"], None]


def _compared(story: _Story, match: re.Match[str]) -> None:
    base = story.held[match["other"]]
    operation = "+" if match["how"] == "more" else "-"
    story.start(match["name"], story.work.do(operation, base, Fraction(match["n"])))


def _multiple(story: _Story, match: re.Match[str]) -> None:
    base = story.held[match["other"]]
    if match["half"] == "half":
        value = story.work.do("/", base, Fraction(2))
    else:
        value = story.work.do("*", base, Fraction(match["n"] or 2))
    story.start(match["name"], value)


def _groups(story: _Story, match: re.Match[str]) -> None:
    amount = story.work.do("*", Fraction(match["n"]), Fraction(match["m"]))
    _settle(story, match[0], amount)


def _settle(story: _Story, clause: str, amount: Fraction) -> None:
    if re.search(rf"\b{_GAIN}\b", clause) and story.held:
        story.change(story.who(clause), "+", amount)
    elif re.search(rf"\b{_LOSS}\b", clause):
        story.change(story.who(clause), "-", amount)
    elif story.held:
        raise TooLargeError("a second amount without a verb")
    else:
        story.start(_subject(clause), amount)


def _subject(clause: str) -> str:
    words = [word for word in re.findall(r"[a-z]+", clause) if word not in {"if", "a", "an", "the", "there", "suppose"}]
    return words[0] if words else "it"


def _each(story: _Story, match: re.Match[str]) -> None:
    story.change(story.active, "*", Fraction(match["n"]))


def _share(story: _Story, match: re.Match[str]) -> None:
    story.change(story.who(match[0]), "/", Fraction(match["n"]))


def _percent(story: _Story, match: re.Match[str]) -> None:
    name = story.who(match[0])
    part = story.work.do("/", story.work.do("*", story.held[name], Fraction(match["n"])), Fraction(100))
    story.change(name, "+" if re.search(rf"\b{_GAIN}\b", match[0]) else "-", part)


def _part(story: _Story, match: re.Match[str]) -> None:
    name = story.who(match[0])
    part = story.work.do("*", story.held[name], _SHARES[match["part"]])
    story.change(name, "-", part)


def _factor(story: _Story, match: re.Match[str]) -> None:
    story.change(story.who(match[0]), "*", Fraction(_FACTORS[match["factor"]]))


def _loss(story: _Story, match: re.Match[str]) -> None:
    amount = Fraction(match["n"])
    story.change(story.who(match[0]), "-", amount)
    receiver = re.search(r"\bto ([a-z]+)\b", match[0])
    if receiver and receiver[1] in story.held and receiver[1] != story.active:
        giver = story.active
        story.change(receiver[1], "+", amount)
        story.active = giver


def _gain(story: _Story, match: re.Match[str]) -> None:
    if story.held:
        story.change(story.who(match[0]), "+", Fraction(match["n"]))
    else:
        story.start(_subject(match[0]), Fraction(match["n"]))


def _has(story: _Story, match: re.Match[str]) -> None:
    story.start(_subject(match[0]), Fraction(match["n"]))


_TABLE: tuple[tuple[str, _Act], ...] = (
    (
        rf"(?P<name>[a-z]+) (?:has|had|have) (?P<n>{NUMBER}) (?P<how>more|fewer|less)\b.*\bthan (?P<other>[a-z]+)",
        _compared,
    ),
    (
        (
            r"(?P<name>[a-z]+) (?:has|had|have) (?:(?P<n>\d+) times|twice|(?P<half>half)) as (?:many|much)\b.*\bas "
            r"(?P<other>[a-z]+)"
        ),
        _multiple,
    ),
    (
        (
            r".*?(?P<n>\d+) (?:[a-z]+ )?[a-z]+ (?:of|with|containing|holding|each with|each containing|each "
            r"holding|that each "
            r"(?:hold|contain|have)|(?:that|which) (?:hold|contain|have)) (?P<m>\d+)\b.*"
        ),
        _groups,
    ),
    (r".*\b(?:each|every) (?:[a-z]+ )?(?:has|have|holds?|contains?|weighs?|costs?) \$?(?P<n>\d+)\b.*", _each),
    (
        (
            r".*\b(?:shar|split|divid|distribut|pack|put)[a-z]*\b.*?\b(?:among|between|with|into|to|in) (?:[a-z]+ )?"
            r"(?P<n>\d+)\b.*"
        ),
        _share,
    ),
    (rf".*\b(?:{_LOSS}|{_GAIN}) (?P<n>{NUMBER}) ?(?:%|percent)(?: more)? of\b.*", _percent),
    (rf".*\b{_LOSS} (?:away )?(?P<part>half|a third|a quarter|a fifth)\b.*", _part),
    (r".*\b(?P<factor>double|triple|quadruple)[sd]?\b.*", _factor),
    (rf".*\b{_GAIN} (?:another |an extra )?\$?(?P<n>{NUMBER})(?! ?%)\b.*", _gain),
    (rf".*\b{_LOSS} (?:away |another |off |[a-z]+ )?\$?(?P<n>{NUMBER})(?! ?%)\b.*", _loss),
    (
        (
            r".*\b(?:has|have|had|starts? with|started with|begins? with|there (?:are|were|is)|contains?|holds?|owns?) "
            rf"(?:about )?\$?(?P<n>{NUMBER})(?! ?%)\b.*"
        ),
        _has,
    ),
    (rf"\$?(?P<n>{NUMBER}) (?:more |other )?[a-z]+ (?:arrive|join|get on|come)\b.*", _gain),
    (rf"\$?(?P<n>{NUMBER}) (?:of them |[a-z]+ )?(?:leave|fly away|get off|die|break)\b.*", _loss),
)
_ROWS = tuple((re.compile(pattern), act) for pattern, act in _TABLE)


def _tell(story: _Story, clause: str) -> bool:
    """Apply the clause; False where it holds a number that no row understands."""
    for pattern, act in _ROWS:
        if match := pattern.fullmatch(clause):
            act(story, match)
            return True
    return not re.search(r"\d", clause)


def _asked_amount(story: _Story, question: str) -> Fraction | None:
    if re.search(r"\d", question):
        return None
    if len(story.held) > 1 and re.search("altogether|in total|in all|together|combined|do they have", question):
        amounts = list(story.held.values())
        total = amounts[0]
        for amount in amounts[1:]:
            total = story.work.do("+", total, amount)
        return total
    named = re.search(r"(?:does|did|will|would|do) ([a-z]+)", question)
    return story.held.get(named[1] if named else "", story.held.get(story.active))


def solve(text: str) -> Task | None:
    """What the story's question asks for; the text is lower-case with digits."""
    if len(text) > _MAX_CHARS or _FOREIGN.search(text):
        return None
    clauses = [clause.strip() for clause in _SPLIT.split(text) if clause and clause.strip()]
    asked = [clause for clause in clauses if _ASKED.search(clause)]
    if len(asked) != 1:
        return None
    story = _Story()
    try:
        if not all(
            _tell(story, re.sub(r"^(?:if|suppose|after that|later) ", "", c)) for c in clauses if c is not asked[0]
        ):
            return None
        value = _asked_amount(story, asked[0])
    except (TooLargeError, KeyError):
        return None
    if value is None or not story.work.steps:
        return None
    story.work.cost += 0.02 * (len(story.held) - 1)
    return story.work.task(value, story.work.values[:1])


def prepared(question: str) -> str:
    """Lower case, one line, digits for number words."""
    return with_digits(re.sub(r"\s+", " ", question.lower().replace("\u2019", "'"))).strip()
