"""`/v1/route`: what would be done first, and why. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cascade.nearby import nearby
from router.domain import Ask
from router.pricing import nanousd_to_usd

if TYPE_CHECKING:
    from cascade.engine import Prepared


def dry_run(prepared: Prepared) -> dict[str, Any]:
    """The first decision with everything it rests on; the budget is checked as it would be."""
    policy, run = prepared.policy, prepared.run
    decision = policy.decide(run)
    estimates = policy.estimates(run)
    return {
        "object": "gearbox.route",
        "policy": policy.name,
        "settings": dict(policy.settings),
        "tier": decision.tier if isinstance(decision, Ask) else None,
        "p_valid": decision.p_valid if isinstance(decision, Ask) else None,
        "why": decision.why,
        "ladder": [
            {
                "tier": tier.name,
                "models": sorted(tier.models),
                "prior_accuracy": tier.prior_accuracy,
                "p_valid": estimates.get(tier.name),
                "worst_case_usd": _usd(run.budget.ask_nanousd.get(tier.name)),
            }
            for tier in run.ladder
        ],
        "evidence": {
            "history_size": run.evidence.history_size,
            "neighbours": [
                {"id": neighbour.id, "similarity": neighbour.similarity, "labels": dict(neighbour.labels)}
                for neighbour in run.evidence.neighbours
            ],
            "note": run.evidence.note,
            "conversation": None if run.evidence.conversation is None else asdict(run.evidence.conversation),
        },
        "nearby": [
            {"setting": each.setting, "value": each.value, "tier": each.start_tier, "why": each.why}
            for each in nearby(policy, run, run)
        ],
        "judging": run.judging,
        "verifiers": [check.name for check in run.checks],
    }


def _usd(nanousd: int | None) -> float | None:
    return None if nanousd is None else nanousd_to_usd(nanousd)
