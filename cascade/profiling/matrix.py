"""Findings -> the capability matrix and the questions' needs.

The law of this file: pure counting. An instance of model m requires skill s if the finding on m's answer names s,
demonstrated or missing; what only another model's finding on that question names says nothing of m. A skill both
demonstrated (by one phrase) and missing (by another of the same cluster) in one answer counts half.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from router.pricing import Usage
from router.skill_lookup import ProfiledQuestion
from router.skills import Count, ModelSkills

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cascade.profiling.findings import Finding


def models_of(findings: Iterable[Finding], skill_of: Mapping[str, str]) -> dict[str, ModelSkills]:
    """Each model's row, and its mean tokens."""
    by_model: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_model[finding.model].append(finding)
    return {model: ModelSkills(_counts(found, skill_of), _mean_usage(found)) for model, found in by_model.items()}


def questions_of(findings: Iterable[Finding], skill_of: Mapping[str, str]) -> tuple[ProfiledQuestion, ...]:
    """What each question needs: the criticality of each skill, the mean over the findings that name it."""
    said: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for finding in findings:
        for skill, criticality in _required(finding, skill_of).items():
            said[finding.question_id][skill].append(criticality)
    return tuple(
        ProfiledQuestion(id_, {skill: sum(all_) / len(all_) for skill, all_ in sorted(needs.items())})
        for id_, needs in said.items()
    )


def _counts(findings: Sequence[Finding], skill_of: Mapping[str, str]) -> dict[str, Count]:
    counts: dict[str, Count] = defaultdict(Count)
    for finding in findings:
        shown = {skill_of[phrase] for phrase in finding.demonstrated}
        lacked = {skill_of[phrase] for phrase in finding.missing}
        for skill in sorted(shown | lacked):
            counts[skill] += Count(0.5 if skill in shown & lacked else float(skill in shown), 1.0)
    return dict(sorted(counts.items()))


def _required(finding: Finding, skill_of: Mapping[str, str]) -> dict[str, float]:
    needs: dict[str, float] = {}
    for phrase, criticality in finding.required.items():
        needs[skill_of[phrase]] = max(needs.get(skill_of[phrase], 0.0), criticality)
    return needs


def _mean_usage(findings: Sequence[Finding]) -> Usage | None:
    used = [finding.usage for finding in findings if finding.usage is not None]
    if not used:
        return None
    prompt = sum(usage.prompt_tokens for usage in used) / len(used)
    completion = sum(usage.completion_tokens for usage in used) / len(used)
    return Usage(round(prompt), round(completion))
