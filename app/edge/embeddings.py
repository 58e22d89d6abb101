"""`/v1/embeddings` at the edge: a request of its own kind, and its answer with what it cost. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.edge import reports
from app.edge.headers import wishes
from cascade.embeddings.call import POLICY
from router.domain import Request
from router.errors import RequestError
from router.pricing import nanousd_to_usd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.edge.reports import Extras
    from router.domain import Caller, Outcome


def embedding_request(
    caller: Caller, body: Mapping[str, Any], headers: Mapping[str, str], request_id: str, received_at: float
) -> Request:
    """A client's body as a request; no text of it is ever kept.

    Raises:
        RequestError: a header or the model's name is wrong.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("you must provide a model parameter (a string)", param="model")
    if body.get("input") in (None, "", []):
        raise RequestError("you must provide input: a string, or an array of strings", param="input")
    wanted = wishes({**caller.headers, **headers})
    return Request(
        id=request_id,
        received_at=received_at,
        body=body,
        policy=POLICY,
        question="",
        caller=caller,
        wishes=replace(wanted, store=False, keeps_answer=wanted.store),
        asked_model=model,
    )


def answer(outcome: Outcome, extras: Extras) -> dict[str, Any]:
    """The list of embeddings, `usage.cost` and the `gearbox` object."""
    told = dict(outcome.embeddings or {})
    cost, used = outcome.cost_nanousd, outcome.calls[0].usage
    tokens = used.prompt_tokens if used else 0
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    told["usage"] = {**usage, **(told.get("usage") or {})}
    if extras.usage_cost:
        told["usage"]["cost"] = None if cost is None else nanousd_to_usd(cost)
    if extras.gearbox_object:
        told["gearbox"] = reports.gearbox_object(outcome)
    return told
