"""A request and its calls -> lines of a FOCUS 1.0 cost file (focus.finops.org). Pure.

One line per call that was paid, and one for what a request spent that no call of it accounts for (late costs), so that
the file's sum is SQL's `cost_nanousd + late_cost_nanousd` to the last digit. A call without a price has no line: an
unknown cost is not a cost of 0. There is no unit price: input and output tokens of one call have different ones.

Four columns stand twice: PyPI's focus-validator 1.0.0 looks for the name before the slash, the specification has the
one behind it: Provider/ProviderName, Publisher/PublisherName, InvoiceIssuer/InvoiceIssuerName, ResourceID/ResourceId.
It also wants ChargeType, which FOCUS 1.0 has renamed to ChargeCategory.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from router.pricing import usd_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_EMPTY = (
    *("AvailabilityZone", "ChargeClass", "CommitmentDiscountCategory", "CommitmentDiscountId"),
    *("CommitmentDiscountName", "CommitmentDiscountType", "CommitmentDiscountStatus", "ContractedUnitPrice"),
    *("ListUnitPrice", "RegionId", "RegionName"),
)
COLUMNS = (
    *("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "BillingCurrency"),
    *("BillingAccountId", "BillingAccountName", "SubAccountId", "SubAccountName"),
    *("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"),
    *("ChargeCategory", "ChargeType", "ChargeDescription", "ChargeFrequency"),
    *("ConsumedQuantity", "ConsumedUnit", "PricingCategory", "PricingQuantity", "PricingUnit"),
    *("Provider", "ProviderName", "Publisher", "PublisherName", "InvoiceIssuer", "InvoiceIssuerName"),
    *("ResourceID", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName"),
    *("SkuId", "SkuPriceId", "Tags"),
    *_EMPTY,
    *("x_RequestId", "x_Purpose", "x_Tier", "x_Key", "x_Policy", "x_CostSource"),
)


def lines(request: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The request's lines, every column of COLUMNS in each."""
    shared = _shared(request)
    paid = [call for call in calls if call["cost_nanousd"]]
    for call in paid:
        yield {**dict.fromkeys(COLUMNS, ""), **shared, **_call(call)}
    late = _unaccounted(request, sum(call["cost_nanousd"] for call in paid))
    if late:
        yield {**dict.fromkeys(COLUMNS, ""), **shared, **_late(request, late)}


def _unaccounted(request: Mapping[str, Any], accounted: int) -> int:
    cost = request["cost_nanousd"]
    return int((accounted if cost is None else cost) + request["late_cost_nanousd"] - accounted)


def _shared(request: Mapping[str, Any]) -> dict[str, Any]:
    start = request["created_at"].astimezone(UTC).replace(microsecond=0)
    month = start.replace(day=1, hour=0, minute=0, second=0)
    return {
        "BillingCurrency": "USD",
        "SubAccountId": request["team"],
        "SubAccountName": request["team"],
        "BillingPeriodStart": _time(month),
        "BillingPeriodEnd": _time((month + timedelta(days=32)).replace(day=1)),
        "ChargePeriodStart": _time(start),
        "ChargePeriodEnd": _time(start + timedelta(seconds=max(math.ceil(request["latency_s"]), 1))),
        "ChargeCategory": "Usage",
        "ChargeType": "Usage",
        "ChargeFrequency": "Usage-Based",
        "PricingCategory": "Standard",
        "ResourceType": "Model",
        "ServiceCategory": "AI and Machine Learning",
        "Tags": json.dumps(request["tags"], sort_keys=True),
        "x_RequestId": request["id"],
        "x_Key": request["key_id"],
        "x_Policy": request["policy"],
    }


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    tokens = (call["prompt_tokens"] or 0) + (call["completion_tokens"] or 0)
    told = {
        **_costs(call["cost_nanousd"]),
        **_vendor(call["model"]),
        **_resource(call["deployment"], call["model"]),
        "ChargeDescription": f"{call['purpose']} on {call['tier']}",
        "SkuPriceId": f"{call['model']}/{call['purpose']}",
        "x_Purpose": call["purpose"],
        "x_Tier": call["tier"],
        "x_CostSource": call["cost_source"],
    }
    if tokens:
        counted = {"ConsumedQuantity": tokens, "PricingQuantity": tokens}
        told |= {**counted, "ConsumedUnit": "Tokens", "PricingUnit": "Tokens"}
    return told


def _late(request: Mapping[str, Any], nanousd: int) -> dict[str, Any]:
    model = request["served_model"] or "unknown"
    return {
        **_costs(nanousd),
        **_vendor(model),
        **_resource("after-the-answer", model),
        "ChargeDescription": "spent after the answer, for learning",
        "SkuPriceId": f"{model}/late",
        "x_Purpose": "late",
        "x_CostSource": "late",
    }


def _costs(nanousd: int) -> dict[str, str]:
    return dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), usd_text(nanousd))


def _vendor(model: str) -> dict[str, str]:
    vendor, slash, _ = model.partition("/")
    name = vendor if slash else "self-hosted"
    names = ("Provider", "ProviderName", "Publisher", "PublisherName", "InvoiceIssuer", "InvoiceIssuerName")
    return dict.fromkeys((*names, "BillingAccountId", "BillingAccountName"), name)


def _resource(deployment: str, model: str) -> dict[str, str]:
    return {
        "ResourceID": deployment,
        "ResourceId": deployment,
        "ResourceName": model,
        "ServiceName": "Chat completions",
        "SkuId": model,
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
