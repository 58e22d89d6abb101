"""What is known of an item of `model_list` beyond what it says: from the price table, the vendors, the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.catalog import price_of
from router.endpoints import VENDORS

if TYPE_CHECKING:
    from app.config.environment import Variables
    from app.config.litellm.entries import Entry
    from router.catalog import Catalog
    from router.pricing import Price

_CHAT = frozenset({"chat", "responses", "completion"})
_EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class Lookup:
    """The table and the environment, asked about one entry at a time."""

    catalog: Catalog
    variables: Variables

    def mode(self, entry: Entry) -> str | None:
        """What the model is for, as its `model_info` says, else the table; None = nobody says."""
        mode = entry.info.get("mode") or self.catalog.mode(entry.known_as)
        return None if mode is None else str(mode)

    def chats(self, entry: Entry) -> bool:
        """Whether it may be asked in a chat; where nobody says what it is for, it may."""
        mode = self.mode(entry)
        return mode is None or mode in _CHAT

    def embeds(self, entry: Entry) -> bool:
        """Whether it embeds."""
        return self.mode(entry) == _EMBEDDING

    def price(self, entry: Entry) -> Price | None:
        """Its own costs, else the table's; None = unknown."""
        return price_of(entry.costs) or self.catalog.price(entry.known_as)

    def provider(self, entry: Entry) -> str:
        """Whose model it is; "" where neither its name nor the table says."""
        return entry.model.partition("/")[0] if "/" in entry.model else self.catalog.provider(entry.model) or ""

    def unset(self, entry: Entry) -> list[str]:
        """The variables that it names or its vendor needs, and that are not set."""
        named = [name for name in entry.variables if self.variables.get(name) is None]
        return named or self._vendor_key(entry)

    def _vendor_key(self, entry: Entry) -> list[str]:
        """The variable of the vendor's own key, where the entry needs it and it is not set."""
        vendor = VENDORS.get(self.provider(entry))
        given = entry.params.get("api_key") or entry.api_base
        if given or vendor is None or self.variables.first(vendor.key_names):
            return []
        return list(vendor.key_names[:1])

    def asked_directly(self, entry: Entry) -> bool:
        """Whether it will be asked without litellm; see `builder.py`, which decides it of the shapes."""
        provider = self.provider(entry)
        if provider in VENDORS:
            return VENDORS[provider].kind != "litellm"
        return provider not in self.catalog.providers and self.adapter(entry) is None

    def adapter(self, entry: Entry) -> str | None:
        """Whoever neither we nor the table know by prefix, LiteLLM knows."""
        prefix, slash, _ = entry.model.partition("/")
        known = prefix in VENDORS or prefix in self.catalog.providers or entry.api_base
        return "litellm" if slash and not known else None
