"""What a finished run teaches: the labels written back to the history (papers.md section 1).

The law of this file: pure; one rule a line, by position on the ladder:

    served on a valid verdict, or by the full ladder's top unjudged ("accepted"):
        the served model ................. correct (source judge; the unjudged top: assumed)
        a tier above ..................... every model of it assumed correct; tried and down: blank
        another tried tier ............... correct if its final answer agrees with the served one, else incorrect
        below the start, skipped ......... blank
    served unjudged below the full top, a rejected answer as the last resort, or nothing served:
        a tier that a judge or verifier rejected: incorrect; all others: blank
    always:
        abstained: incorrect · error: blank · cut by our own output limit and not accepted: blank
    direct (stream mode direct, a tier named by the client): nothing at all
    a policy that tells its beliefs (`Deliver.beliefs`) instead:
        each answer's model by its P(right); abstained: incorrect
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.answers import agrees
from router.domain import Label, LabelSource, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from router.domain import Attempt, Deliver, Run

#: A correctness from here on counts as right.
RIGHT = 0.5
#: How far a label's source is trusted, where one model has several labels: what somebody saw before what is assumed.
_TRUST = (LabelSource.FEEDBACK, LabelSource.AUDIT, LabelSource.JUDGE, LabelSource.AGREEMENT, LabelSource.ASSUMED)


def labels(run: Run, delivered: Deliver, *, direct: bool) -> tuple[Label, ...]:
    """One label at most per tier and model, the ladder's order first; blank = no label.

    Args:
        run: the finished run; its ladder limits what can be labelled (`max-tier` hides the tiers above it).
        delivered: which attempt was served.
        direct: no cascade took part (stream mode direct, a tier named by the client).
    """
    if direct:
        return ()
    if delivered.beliefs is not None:
        return _unique(run, list(_believed(run, delivered.beliefs)))
    served = None if delivered.attempt is None else run.attempts[delivered.attempt]
    if served is None or not _accepted(run, served):
        return _unique(run, _rejected(run.attempts))
    found = [*_assumed_above(run, served), *_compared(run, served), _served(served)]
    return _unique(run, found)


def by_model(found: Sequence[Label]) -> dict[str, float]:
    """Model -> correctness, as the index keeps it.

    Where one model stands on several tiers, its most trusted label counts; equally trusted ones are averaged.
    """
    best: dict[str, list[Label]] = {}
    for label in sorted(found, key=lambda label: _TRUST.index(label.source)):
        peers = best.setdefault(label.model, [])
        if not peers or peers[0].source is label.source:
            peers.append(label)
    return {model: sum(label.correct for label in peers) / len(peers) for model, peers in best.items()}


def _believed(run: Run, beliefs: Mapping[int, float]) -> Iterator[Label]:
    """What a policy holds of each answer; where several could be compared, that is where it comes from."""
    source = LabelSource.AGREEMENT if len(beliefs) > 1 else LabelSource.JUDGE
    for place, attempt in enumerate(run.attempts):
        if attempt.verdict is Verdict.ABSTAINED:
            yield Label(attempt.tier, attempt.model, 0.0, LabelSource.JUDGE)
        elif place in beliefs and not _cut(attempt):
            yield Label(attempt.tier, attempt.model, beliefs[place], source)


def _accepted(run: Run, served: Attempt) -> bool:
    """A valid verdict, or the full ladder's top, which nobody judges."""
    if served.verdict is Verdict.VALID:
        return True
    return served.tier == run.top and served.verdict is Verdict.UNJUDGED and not served.cut_by_cap


def _served(served: Attempt) -> Label:
    source = LabelSource.JUDGE if served.verdict is Verdict.VALID else LabelSource.ASSUMED
    return Label(served.tier, served.model, 1.0, source)


def _assumed_above(run: Run, served: Attempt) -> Iterator[Label]:
    """Every model of the tiers above the served one, unless the tier was tried and gave no answer at all."""
    for tier in run.ladder[run.position(served.tier) + 1 :]:
        tried = [attempt for attempt in run.attempts if attempt.tier == tier.name]
        if tried and all(attempt.verdict is Verdict.ERROR or _cut(attempt) for attempt in tried):
            continue
        for model in sorted(tier.models):
            yield Label(tier.name, model, 1.0, LabelSource.ASSUMED)


def _compared(run: Run, served: Attempt) -> Iterator[Label]:
    """The other tried attempts, by agreement with the served answer; above it only those that were turned down."""
    for attempt in run.attempts:
        if attempt is served or attempt.verdict is Verdict.ERROR or _cut(attempt):
            continue
        if attempt.verdict is Verdict.ABSTAINED:
            yield Label(attempt.tier, attempt.model, 0.0, LabelSource.JUDGE)
        elif attempt.verdict is Verdict.INVALID or run.position(attempt.tier) <= run.position(served.tier):
            right = agrees(_final(attempt), _final(served))
            yield Label(attempt.tier, attempt.model, float(right), LabelSource.AGREEMENT)


def _rejected(attempts: Sequence[Attempt]) -> Iterator[Label]:
    """Nothing was accepted: only a no is known."""
    for attempt in attempts:
        if attempt.verdict in {Verdict.INVALID, Verdict.ABSTAINED} and not _cut(attempt):
            yield Label(attempt.tier, attempt.model, 0.0, LabelSource.JUDGE)


def _cut(attempt: Attempt) -> bool:
    """Our own output limit ended the answer and nobody accepted it: that says nothing about the model."""
    return attempt.cut_by_cap and attempt.verdict is not Verdict.VALID


def _final(attempt: Attempt) -> str:
    return attempt.answer.final if attempt.answer else ""


def _unique(run: Run, found: Iterator[Label] | Sequence[Label]) -> tuple[Label, ...]:
    """The last label of each (tier, model) that has a model, ordered by the ladder."""
    last = {(label.tier, label.model): label for label in found if label.model}
    places = {tier.name: place for place, tier in enumerate(run.ladder)}
    return tuple(sorted(last.values(), key=lambda label: (places.get(label.tier, len(places)), label.model)))
