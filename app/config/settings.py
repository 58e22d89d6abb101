"""The shape of the configuration: frozen records of what `gearbox.yaml` may say.

The law of this file: shapes, ranges and defaults only. It opens no file and checks nothing that needs two keys at once
(`rules.py` does).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from app.config.vendor_keys import VendorKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

Capability: TypeAlias = Literal["tools", "vision", "audio", "json_schema", "n", "logprobs", "reasoning"]
Usd: TypeAlias = Annotated[float, Field(ge=0, le=1_000_000)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, le=86_400)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000_000)]
Days: TypeAlias = Annotated[float, Field(gt=0, le=36_500)]
Tokens: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000_000)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/@+-]*$", max_length=128)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or any(map(str.isspace, url)):
        raise ValueError("not an address")
    return url


Url: TypeAlias = Annotated[str, AfterValidator(_address)]


class Section(BaseModel):
    """One block of the file: an unknown key is an error, and nothing changes after the start."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )


class PriceConfig(Section):
    """What a model costs, USD per million tokens; a kind left out is billed as plain input or output."""

    input_usd_per_mtok: Usd
    output_usd_per_mtok: Usd
    cached_input_usd_per_mtok: Usd | None = None
    cache_write_usd_per_mtok: Usd | None = None
    reasoning_usd_per_mtok: Usd | None = None


class TimeoutsConfig(Section):
    """Seconds; a time left out keeps the wider setting's value, and at last connect 5, first token 60, total 600."""

    connect_s: Seconds | None = None
    first_token_s: Seconds | None = None
    total_s: Seconds | None = None


class DeploymentConfig(VendorKeys, Section):
    """One place where a tier's model can be asked.

    `base_model` is the table's name of the model where `model` is a name of your own; `adapter` overrides how it is
    spoken to; `params` are a litellm deployment's defaults and `simulate` a simulated tier's, both unread.
    """

    model: Text
    api_base: Url | None = None
    api_key: SecretStr | None = None
    adapter: Literal["openai", "litellm"] | None = None
    base_model: Text | None = None
    price: PriceConfig | None = None
    timeouts: TimeoutsConfig = TimeoutsConfig()
    hints: bool = False
    context_tokens: Tokens | None = None
    max_output_tokens: Tokens | None = None
    capabilities: dict[Capability, bool] = Field(default_factory=dict)
    simulate: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict, repr=False)


class TierConfig(Section):
    """One rung of the ladder."""

    name: Name
    deployments: tuple[DeploymentConfig, ...] = Field(min_length=1)
    price: PriceConfig | None = None
    prior_accuracy: Share | None = None
    judge: Text | None = None


class PolicyConfig(BaseModel):
    """The default policy; every other key is a policy's name with its settings, which that policy checks itself."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, hide_input_in_errors=True)
    __pydantic_extra__: dict[str, dict[str, Any] | None] = Field(init=False)

    default: Text = "auto"

    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """Policy name -> its settings as written."""
        return {name: values or {} for name, values in (self.__pydantic_extra__ or {}).items()}


class BudgetConfig(Section):
    """Dollars in a period (UTC): at `usd` calls are refused, at `soft_usd` the caller is told."""

    per: Literal["day", "week", "month", "total"]
    usd: Usd | None = None
    soft_usd: Usd | None = None


class SharedBudgetConfig(BudgetConfig):
    """A team's budget; without a team everybody's."""

    team: Text | None = None


class KeyLimitsConfig(Section):
    """How much a key may do at once; what is left out is not limited."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None


class KeyConfig(Section):
    """A static key that clients use. `id` names it in the store and in logs; default: its team and place.

    `policies` and `tiers` are the only ones it may use, left out = all; `headers` its defaults for `x-gearbox-*`.
    """

    key: Annotated[SecretStr, Field(min_length=1)]
    team: Text = "default"
    id: Text | None = None
    admin: bool = False
    policies: tuple[Text, ...] | None = None
    tiers: tuple[Text, ...] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    limits: KeyLimitsConfig = KeyLimitsConfig()
    budgets: tuple[BudgetConfig, ...] = ()


class StoreConfig(Section):
    """Where outcomes are written; the address may hold a password and is masked.

    `journal` is the folder where outcomes wait for a database that is away (default: beside the SQLite file, or
    `gearbox-journal`), `patience_s` how long a request waits before its outcome goes there (default: 2 for PostgreSQL,
    20 for SQLite, whose journal is on the same disk), `start_wait_s` how long the start waits for PostgreSQL before it
    serves without. Rows older than `retention_days` are deleted; the text in them
    goes after `text_retention_days`; None = never. `poll_s` is how often others' outcomes are looked for.
    """

    url: SecretStr = SecretStr("sqlite+aiosqlite:///gearbox.db")
    journal: Text | None = None
    patience_s: Seconds | None = None
    start_wait_s: Annotated[float, Field(ge=0, le=3600)] = 15
    poll_s: Seconds = 1.0
    retention_days: Days | None = None
    text_retention_days: Days | None = None


class IndexConfig(Section):
    """Where past questions are searched: in this process (faiss), or in PostgreSQL for all (pgvector)."""

    kind: Literal["faiss", "pgvector"] = "faiss"


class RedisConfig(Section):
    """The shared ledger and cache; None = this process alone."""

    url: SecretStr | None = None


class EmbeddingConfig(Section):
    """Which model embeds questions; with `api_base` a remote one, paid, else the one that comes with Gearbox.

    Without `input_usd_per_mtok` nobody knows what a remote one costs: nothing of it is counted, and a request with a
    cap or a budget is not embedded; 0 = it is free.
    """

    model: Text = "all-MiniLM-L6-v2"
    api_base: Url | None = None
    api_key: SecretStr | None = None
    input_usd_per_mtok: Usd | None = None


class ClientEmbeddingConfig(Section):
    """A model that embeds for clients of `/v1/embeddings` under the name they send, at an OpenAI-compatible address.

    `model` is `provider/name`; address, key and price default to what is known of the provider.
    """

    name: Text
    model: Text
    api_base: Url | None = None
    api_key: SecretStr | None = None
    input_usd_per_mtok: Usd | None = None


class JudgeConfig(Section):
    """`fail` says what a failing judge means: open = serve the answer unjudged, closed = shift up."""

    max_tokens: Tokens = 2048
    fail: Literal["open", "closed"] = "open"


class HistoryConfig(Section):
    """Whose past questions count as neighbours: the caller's team's, or everyone's."""

    scope: Literal["team", "global"] = "team"


class VerifierMatchConfig(Section):
    """Which requests a verifier looks at; all that is given must fit, nothing given = every request."""

    tag: Text | None = None
    model: Text | None = None
    schema_: Annotated[Text | None, Field(alias="schema")] = None


class VerifierConfig(Section):
    """A check of the operator's own, before the judge. Its kind says which of the lower keys it has."""

    name: Name
    kind: Literal["json_schema", "regex", "command", "http"]
    match: VerifierMatchConfig = VerifierMatchConfig()
    replaces_judge: bool = False
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    pattern: Text | None = None
    expect: Literal["match", "no_match"] = "match"
    command: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    url: Url | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)


class StreamConfig(Section):
    """`optimistic_from`: the P(valid) of the first tier from which `adaptive` shows its answer before it is judged."""

    optimistic_from: Share = 0.75


class SessionsConfig(Section):
    """How long a vendor's prompt cache lives after its last use, and how long a conversation keeps its tier."""

    warm_s: Annotated[float, Field(ge=0, le=86_400)] = 300
    remembered_s: Annotated[float, Field(ge=0, le=604_800)] = 3600


class ExtrasConfig(Section):
    """Our two additions to OpenAI's bodies."""

    usage_cost: bool = True
    gearbox_object: bool = True


class ServerConfig(Section):
    """The edge: body limit, how long a held stream's status waits, how long a call outlives its client.

    After SIGTERM readiness says no at once, new requests are served for `drain_s` more (while load balancers look
    away), and open answers get `shutdown_s` to finish. `log_prompts` lets questions into the log; `otlp_endpoint` is
    where traces go, by default where OTEL_EXPORTER_OTLP_ENDPOINT says.
    """

    max_body_mb: Annotated[float, Field(gt=0, le=1024)] = 32
    extras: ExtrasConfig = ExtrasConfig()
    hold_status_s: Annotated[float, Field(ge=0, le=600)] = 5
    linger_s: Annotated[float, Field(ge=0, le=3600)] = 10
    drain_s: Annotated[float, Field(ge=0, le=600)] = 0
    shutdown_s: Annotated[int, Field(ge=1, le=3600)] = 120
    log_prompts: bool = False
    otlp_endpoint: Url | None = None


class RetriesConfig(Section):
    """Tries of one deployment, the pauses between them, and when a failing deployment is left alone for a while."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    backoff_s: Annotated[float, Field(ge=0, le=600)] = 0.5
    max_backoff_s: Annotated[float, Field(ge=0, le=600)] = 8
    max_retry_after_s: Annotated[float, Field(ge=0, le=3600)] = 20
    cooldown_failures: Annotated[int, Field(ge=1, le=1000)] = 3
    cooldown_s: Annotated[float, Field(ge=0, le=86_400)] = 30


class LimitsConfig(Section):
    """What a request may use where neither it nor the model says."""

    default_max_output_tokens: Tokens = 4096


class LedgerConfig(Section):
    """`ahead_usd`: the most a worker borrows of a budget beyond its open calls, and so what its death costs at most.

    `mixed_configs`: what happens where workers with other prices, keys or budgets share the ledger.
    """

    ahead_usd: Usd = 0.05
    mixed_configs: Literal["refuse", "warn"] = "refuse"


class CacheConfig(Section):
    """The response cache, off without `ttl_s`; per team unless `shared`. `max_mb` bounds the one in memory."""

    ttl_s: Annotated[float, Field(gt=0, le=31_536_000)] | None = None
    shared: bool = False
    max_mb: Annotated[float, Field(gt=0, le=65_536)] = 64


class Config(Section):
    """The whole of `gearbox.yaml`."""

    tiers: tuple[TierConfig, ...] = ()
    aliases: dict[str, Text] = Field(default_factory=dict)
    policy: PolicyConfig = PolicyConfig()
    keys: tuple[KeyConfig, ...] = ()
    master_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    budgets: tuple[SharedBudgetConfig, ...] = ()
    ledger: LedgerConfig = LedgerConfig()
    cache: CacheConfig = CacheConfig()
    store: StoreConfig = StoreConfig()
    index: IndexConfig = IndexConfig()
    redis: RedisConfig = RedisConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    embeddings: tuple[ClientEmbeddingConfig, ...] = ()
    judge: JudgeConfig = JudgeConfig()
    history: HistoryConfig = HistoryConfig()
    verifiers: tuple[VerifierConfig, ...] = ()
    stream: StreamConfig = StreamConfig()
    sessions: SessionsConfig = SessionsConfig()
    server: ServerConfig = ServerConfig()
    timeouts: TimeoutsConfig = TimeoutsConfig()
    retries: RetriesConfig = RetriesConfig()
    limits: LimitsConfig = LimitsConfig()
