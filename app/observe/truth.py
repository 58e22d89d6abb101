"""What feedback says about the judge: its verdict on the served answer, against the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.labels import RIGHT

if TYPE_CHECKING:
    from app.services import Services
    from router.domain import Caller


async def count_truth(services: Services, request_id: str, caller: Caller, score: float) -> None:
    """Count it, where a judge gave a verdict on the answer that the feedback is about."""
    story = await services.history.decision(request_id, caller)
    tiers = {tier.name for tier in services.ladder}
    if story is None:
        return
    for attempt in story["attempts"]:
        judged = (attempt["verdict_by"] or "").startswith("judge:")
        # A row may be older than the configuration: a tier that is no more is no label.
        if judged and attempt["tier"] == story["served_tier"] and attempt["tier"] in tiers:
            services.metrics.truth(attempt["tier"], attempt["verdict"], right=score >= RIGHT)
