"""Why a model was picked, in plain words: its skills, how it differs from the others, and what was traded for cost.

The law of this file: pure text. What stands before the first semicolon is the short form.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from router.pricing import nanousd_to_usd
from router.skills import difference, pareto

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.policies.skills import Candidate
    from router.skills import SkillEvidence

#: How many of the needed skills are named.
_NAMED = 3


def rationale(chosen: Candidate, candidates: Sequence[Candidate], evidence: SkillEvidence, note: str) -> str:
    """The whole reason; clauses are parted by semicolons."""
    clauses = [_short(chosen, evidence), note, *_differences(chosen, candidates, evidence), _trade(chosen, candidates)]
    clauses += [_front(candidates), evidence.note]
    return "; ".join(clause for clause in clauses if clause)


def _short(chosen: Candidate, evidence: SkillEvidence) -> str:
    told = f"{chosen.tier.name} is predicted to succeed with {chosen.predicted:.2f}"
    if not evidence.needs:
        return told
    named = [
        f"{need.skill} (weighs {need.weight:.0%}, C {chosen.capabilities[need.skill]:.2f})"
        for need in evidence.needs[:_NAMED]
    ]
    more = len(evidence.needs) - len(named)
    return f"{told}: the question needs {', '.join(named)}" + (f" and {more} more" if more else "")


def _differences(chosen: Candidate, candidates: Sequence[Candidate], evidence: SkillEvidence) -> list[str]:
    """Delta C against the best of the others, for the named skills; and who is not capable of what."""
    others = [each for each in candidates if each is not chosen]
    if not others or not evidence.needs:
        return []
    matrix = {each.tier.name: each.capabilities for each in candidates}
    told = [f"{need.skill} {difference(chosen.tier.name, need.skill, matrix):+.2f}" for need in evidence.needs[:_NAMED]]
    unable = [f"{each.tier.name} ({', '.join(each.lacking)})" for each in others if each.lacking]
    words = [f"ΔC against the best alternative: {', '.join(told)}"]
    return [*words, f"not capable: {', '.join(unable)}"] if unable else words


def _trade(chosen: Candidate, candidates: Sequence[Candidate]) -> str:
    """What predicted success was given up, and what that saves."""
    best = max((each for each in candidates if each.capable or not chosen.capable), key=lambda each: each.predicted)
    if best is chosen or best.predicted <= chosen.predicted:
        return ""
    lost = f"{best.predicted - chosen.predicted:.2f} of predicted success against {best.tier.name} was traded"
    if not (isfinite(best.cost_nanousd) and isfinite(chosen.cost_nanousd)):
        return lost
    saved = nanousd_to_usd(round(best.cost_nanousd - chosen.cost_nanousd))
    return f"{lost} for {saved:.6f} USD an answer"


def _front(candidates: Sequence[Candidate]) -> str:
    """The candidates that no other one beats in both cost and predicted success."""
    if len(candidates) == 1:
        return ""
    costs = {each.tier.name: each.cost_nanousd for each in candidates}
    worth = {each.tier.name: each.predicted for each in candidates}
    return "Pareto front: " + " < ".join(f"{name} {worth[name]:.2f}" for name in pareto(costs, worth))
