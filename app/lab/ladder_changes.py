"""Other tiers, other prices: the ladder as `whatif` is asked to imagine it.

The law of this file: pure; it changes copies.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from router.errors import ConfigError
from router.pricing import Price, Rates, per_mtok

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.domain import Tier

_DEAREST = 1_000_000


def changed_tiers(tiers: Sequence[Tier], names: Sequence[str], prices: Sequence[str]) -> tuple[Tier, ...]:
    """The named rungs (none = all) in the ladder's order, at other prices (`tier=in,out`, USD per million tokens).

    Raises:
        ConfigError: an unknown tier, or no price.
    """
    known = [tier.name for tier in tiers]
    wanted = [name.strip() for entry in names for name in entry.split(",")]
    told = dict(_price(entry) for entry in prices)
    for name in (*wanted, *told):
        if name not in known:
            raise ConfigError(f"there is no tier {name!r}; there are: {', '.join(known)}")
    kept = [tier for tier in tiers if not wanted or tier.name in wanted]
    left = [tier.name for tier in kept]
    return tuple(_rejudged(_priced(tier, told.get(tier.name)), left) for tier in kept)


def _priced(tier: Tier, price: Price | None) -> Tier:
    if price is None:
        return tier
    return replace(tier, deployments=tuple(replace(each, price=price) for each in tier.deployments))


def _rejudged(tier: Tier, left: Sequence[str]) -> Tier:
    """A judge that is no longer on the ladder is replaced by the tier itself; the recorded verdict counts anyway."""
    return tier if tier.judge in left else replace(tier, judge=tier.name)


def _price(entry: str) -> tuple[str, Price]:
    name, _, told = entry.partition("=")
    rates = told.split(",")
    try:
        input_usd, output_usd = (float(rate) for rate in rates)
    except ValueError:
        raise _bad(entry) from None
    if not (0 <= input_usd <= _DEAREST and 0 <= output_usd <= _DEAREST):
        raise _bad(entry)
    return name.strip(), Price(Rates(per_mtok(input_usd), per_mtok(output_usd)))


def _bad(entry: str) -> ConfigError:
    return ConfigError(f"--price {entry}: write it as tier=in,out in USD per million tokens, such as small=0.05,0.40")
