"""Who embeds for clients of `/v1/embeddings`: from the configuration, or from the keys in the environment.

The law of this file: names, addresses, keys and prices, no call. Where it names nobody, the built-in model answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.config.builder import key_of, needs_key
from router.endpoints import VENDORS, EmbeddingEndpoint, Secret, Vendor
from router.errors import ConfigError
from router.pricing import Price, Rates, per_mtok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.config.environment import Variables
    from app.config.file import Loaded
    from app.config.settings import ClientEmbeddingConfig
    from router.catalog import Catalog


def from_config(loaded: Loaded, variables: Variables, catalog: Catalog) -> tuple[EmbeddingEndpoint, ...]:
    """The configured models, in the order given.

    Raises:
        ConfigError: a name twice, an address or a key that is missing; all of them at once.
    """
    faults: list[str] = []
    found: dict[str, EmbeddingEndpoint] = {}
    for place, shape in enumerate(loaded.config.embeddings):
        endpoint = _endpoint(shape, variables, catalog)
        faults += [loaded.document.say(("embeddings", place), fault) for fault in _faults(shape, endpoint, found)]
        found[shape.name] = endpoint
    if faults:
        raise ConfigError("\n".join(faults))
    return tuple(found.values())


def from_environment(variables: Variables, catalog: Catalog) -> tuple[EmbeddingEndpoint, ...]:
    """The embedding models of every OpenAI-compatible vendor whose key is set, under their own names."""
    vendors = [vendor for vendor in dict.fromkeys(VENDORS.values()) if vendor.kind == "openai" and vendor.family]
    keyed = [(vendor, key) for vendor in vendors if (key := variables.first(vendor.key_names))]
    return tuple(
        EmbeddingEndpoint(
            name=model.partition("/")[2],
            model=model.partition("/")[2],
            api_base=vendor.api_base or "",
            api_key=Secret(key),
            price=catalog.embedding_price(model),
        )
        for vendor, key in keyed
        for model in catalog.embedding_models(vendor.name)
    )


def _endpoint(shape: ClientEmbeddingConfig, variables: Variables, catalog: Catalog) -> EmbeddingEndpoint:
    """What a shape says, completed by what is known of its provider; "" where no address is known."""
    prefix, slash, name = shape.model.partition("/")
    vendor = VENDORS.get(prefix) if slash else None
    usd = shape.input_usd_per_mtok
    return EmbeddingEndpoint(
        name=shape.name,
        model=name if vendor else shape.model,
        api_base=(shape.api_base or _address(vendor)).rstrip("/"),
        api_key=key_of(shape, vendor or Vendor(prefix, "openai"), variables),
        price=catalog.embedding_price(shape.model) if usd is None else Price(Rates(per_mtok(usd), 0)),
    )


def _address(vendor: Vendor | None) -> str:
    return (vendor.api_base if vendor and vendor.kind == "openai" else None) or ""


def _faults(
    shape: ClientEmbeddingConfig, endpoint: EmbeddingEndpoint, others: dict[str, EmbeddingEndpoint]
) -> Iterator[str]:
    if shape.name in others:
        yield f'an embedding model named "{shape.name}" stands above already: names are unique'
    if not endpoint.api_base:
        yield f"{shape.model} needs its address: add api_base: https://host/v1, an OpenAI-compatible one"
    vendor = VENDORS.get(shape.model.partition("/")[0])
    if vendor and vendor.key_names and endpoint.api_key is None and shape.api_base is None:
        yield needs_key(vendor)
