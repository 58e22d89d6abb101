"""Where a model can be asked: addresses, keys, time-outs, and the vendors whose addresses we know.

The law of this file: frozen records and one table, no I/O. A key is a `Secret`: nothing that prints, logs or compares
an endpoint shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.domain import Deployment
    from router.pricing import Price

Kind: TypeAlias = Literal["openai", "litellm", "simulated"]

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "host.docker.internal"})  # noqa: S104 - compared, never bound


class Secret:
    """A value that shows itself only when asked by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """The value itself; for the wire alone, never for a log or an error."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds until we give up: connecting, waiting for the first byte of an answer, and the whole call."""

    connect_s: float = 5.0
    first_token_s: float = 60.0
    total_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One deployment and how to reach it.

    `kind` says which adapter speaks to it; `api_base` has no trailing slash and is None where the adapter knows the
    address; `simulate` (simulated tiers) and `params` (litellm adapter: api_version, region, …) are passed on unread,
    what is secret in them as a `Secret`.
    """

    deployment: Deployment
    kind: Kind
    api_base: str | None = None
    api_key: Secret | None = None
    hints: bool = False
    timeouts: Timeouts = Timeouts()
    simulate: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class EmbeddingEndpoint:
    """A model that embeds for clients under `name`, at an OpenAI-compatible address; `price` None = unknown.

    `model` is what that address calls it; `api_base` has no trailing slash.
    """

    name: str
    model: str
    api_base: str
    api_key: Secret | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """What we know of a vendor without asking it.

    `key_names` are the environment variables its key is read from, in this order; empty = it needs none.
    `aliases` are the patterns of the model names that its clients already send.
    `family` is the pattern of its own mainstream models' names, "" where ladders are not built of it unasked.
    """

    name: str
    kind: Kind
    api_base: str | None = None
    key_names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    family: str = ""


_ALL = (
    Vendor(
        "openai", "openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",), ("gpt-*", "chatgpt-*", "o[1-9]*"), r"gpt-"
    ),
    Vendor("anthropic", "litellm", None, ("ANTHROPIC_API_KEY",), ("claude-*",), r"claude-"),
    Vendor("gemini", "litellm", None, ("GEMINI_API_KEY", "GOOGLE_API_KEY"), ("gemini-*",), r"gemini-(?!gemma)"),
    Vendor("groq", "openai", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",), ("groq/*",), r".*"),
    Vendor(
        "mistral",
        "openai",
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        ("mistral-*",),
        r"mistral-(small|medium|large)",
    ),
    Vendor("deepseek", "openai", "https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",), ("deepseek-*",), r"deepseek-v"),
    Vendor("xai", "openai", "https://api.x.ai/v1", ("XAI_API_KEY",), ("grok-*",), r"grok-\d"),
    Vendor("together_ai", "openai", "https://api.together.xyz/v1", ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY")),
    Vendor("openrouter", "openai", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    Vendor(
        "fireworks_ai", "openai", "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY")
    ),
    Vendor("ollama", "openai", "http://localhost:11434/v1"),
    Vendor("hosted_vllm", "openai", "http://localhost:8000/v1"),
    Vendor("lm_studio", "openai", "http://localhost:1234/v1"),
    Vendor("custom_openai", "openai"),
    Vendor("litellm_proxy", "openai"),
    Vendor("simulated", "simulated"),
)
_OTHER_NAMES = {"together": "together_ai", "fireworks": "fireworks_ai", "ollama_chat": "ollama", "vllm": "hosted_vllm"}
_BY_NAME = {vendor.name: vendor for vendor in _ALL}
#: Every vendor whose address or adapter we know, by the prefixes of its models' names.
VENDORS: Mapping[str, Vendor] = {**_BY_NAME, **{other: _BY_NAME[name] for other, name in _OTHER_NAMES.items()}}


def host(api_base: str | None) -> str:
    """The host of an address, lower case; "" where there is none."""
    return (urlsplit(api_base).hostname or "") if api_base else ""


def is_local(api_base: str | None) -> bool:
    """Whether an address is this machine: no key is expected there."""
    return host(api_base) in _LOCAL_HOSTS


def is_vendor_host(api_base: str | None) -> bool:
    """Whether an address belongs to a known vendor, who must never be sent hints."""
    known = {host(vendor.api_base) for vendor in VENDORS.values()} - _LOCAL_HOSTS - {""}
    return host(api_base) in known
