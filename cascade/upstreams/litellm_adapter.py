"""Every vendor that is not OpenAI-compatible, through litellm: Anthropic, Gemini, Bedrock, Vertex, Azure and the rest.

The law of this file: the only import of litellm in the project, made in a thread once such a deployment is configured,
because it takes seconds and would ask the net for prices. It knows one endpoint and one try: litellm's own retries,
fallbacks, caches, logging and telemetry are off; money and other deployments are its caller's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import httpx

from cascade.upstreams import litellm_shapes
from cascade.upstreams.litellm_errors import error_of
from cascade.upstreams.litellm_guard import guard
from cascade.upstreams.litellm_params import Dialect, arguments
from cascade.upstreams.params import bare_model, provider_of
from cascade.upstreams.secrets import secrets_of, shown
from cascade.upstreams.streamed import Patience, collect
from cascade.upstreams.upstream_errors import bad_reply
from router.endpoints import VENDORS
from router.errors import UpstreamError, UpstreamTimeout
from router.ports import Reply
from router.pricing import usage_from_body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from router.endpoints import Endpoint
    from router.ports import ChatCall, ChunkSink

#: Everything that litellm would fetch at import.
_LOCAL = ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS")
#: litellm's name for a provider that its own price table calls otherwise.
_PROVIDERS = {"bedrock_converse": "bedrock"}
#: Sent where an address of the operator's own needs no key: without it litellm would send the vendor's.
_NO_KEY = "none"
#: Vendors other than the OpenAI-compatible ones whose body takes fields that litellm does not know.
_OPEN_BODIES = frozenset({"azure", "azure_ai", "gemini"})
#: Arguments of `acompletion` itself that its own list of options leaves out.
_ROUTING = frozenset(
    {"api_base", "api_key", "api_version", "azure_ad_token", "base_url", "client", "custom_llm_provider"}
    | {"default_headers", "deployment_id", "drop_params", "extra_body", "extra_headers", "headers", "max_retries"}
    | {"mock_response", "model_list", "num_retries", "organization", "request_timeout", "shared_session", "timeout"}
)


def load() -> Any:
    """Import litellm, quiet and local; a few seconds the first time."""
    for name in _LOCAL:
        os.environ[name] = "True"
    import litellm  # noqa: PLC0415 - heavy, and it reads the environment that we have just set
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler  # noqa: PLC0415 - heavy
    from litellm.llms.openai.common_utils import BaseOpenAILLM  # noqa: PLC0415 - heavy

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    litellm.drop_params = False
    guard(litellm, AsyncHTTPHandler, BaseOpenAILLM)
    # What it drops and what fails is told by the call itself; its own log would repeat that, unmasked, once a request.
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    return litellm


async def warm() -> None:
    """Import litellm off the event loop, so that the first request need not wait for it."""
    await asyncio.to_thread(load)


async def close() -> None:
    """Close the connections of every litellm deployment of this process."""
    litellm: Any = sys.modules.get("litellm")
    if litellm is not None:
        await litellm.close_litellm_async_clients()


class LiteLLM:
    """A `ChatModel` over `litellm.acompletion`."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Build it.

        Args:
            endpoint: model, key, address where it is not the vendor's, time-outs, and litellm's own `params`.
        """
        self._endpoint = endpoint
        self._provider, self._name = litellm_name(endpoint.deployment.model)
        self._model = f"{self._provider}/{self._name}"
        self._litellm: Any = None
        self._dialect: Dialect | None = None

    async def chat(self, call: ChatCall, live: ChunkSink | None = None) -> Reply:
        """One try; see `ports.ChatModel`. Hints are never sent: whoever is behind litellm is a vendor."""
        given, dropped = arguments(call.body, self._endpoint.deployment, await self._speak())
        started = time.monotonic()
        patience = Patience(self._endpoint.timeouts, streamed=call.stream)
        try:
            async with patience.limit:
                if call.stream:
                    return await self._streamed(given, started, dropped, live, patience)
                return await self._whole(given, started, dropped)
        except TimeoutError as error:
            raise UpstreamTimeout(patience.words) from error

    async def aclose(self) -> None:
        """Nothing of its own to close: litellm shares its connections, `close` ends them."""

    async def _speak(self) -> Dialect:
        """What this vendor can be told; imports litellm on the first call, where nobody has warmed it."""
        if self._dialect is None:
            self._litellm = await asyncio.to_thread(load)
            self._dialect = _dialect(self._litellm, self._provider, self._name)
        return self._dialect

    async def _whole(self, given: dict[str, Any], started: float, dropped: tuple[str, ...]) -> Reply:
        notes = list(dropped)
        response = await self._ask(given, notes, stream=False)
        body = litellm_shapes.whole(response)
        if not body.get("choices"):
            raise bad_reply("a chat completion without choices")
        usage = usage_from_body(body.get("usage"))
        return Reply(body, (), usage, time.monotonic() - started, None, tuple(notes))

    async def _streamed(
        self,
        given: dict[str, Any],
        started: float,
        dropped: tuple[str, ...],
        live: ChunkSink | None,
        patience: Patience,
    ) -> Reply:
        notes = list(dropped)
        async with aclosing(self._events(given, notes)) as events:
            reply = await collect(events, live, patience, started, dropped)
        return Reply(reply.body, reply.chunks, reply.usage, reply.latency_s, reply.ttft_s, tuple(notes))

    async def _events(self, given: dict[str, Any], notes: list[str]) -> AsyncGenerator[dict[str, Any], None]:
        stream = await self._ask(given, notes, stream=True)
        began = False
        try:
            async for part in stream:
                began = True
                yield litellm_shapes.chunk(part)
        except Exception as error:
            raise self._ours(error, streaming=began) from error
        finally:
            await _closed(stream)

    async def _ask(self, given: dict[str, Any], notes: list[str], *, stream: bool) -> Any:
        """One request. A value that a vendor's dialect cannot say is left out, and told, before anything is sent."""
        options = self._options(given, stream=stream)
        try:
            return await self._litellm.acompletion(**options)
        except self._litellm.UnsupportedParamsError as error:
            notes.append(f"values dropped by litellm: {_first_line(error)}")
        except Exception as error:
            raise self._ours(error) from error
        try:
            return await self._litellm.acompletion(**options, drop_params=True)
        except Exception as error:
            raise self._ours(error) from error

    def _options(self, given: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        """The operator's defaults, what the client says, and above both what only we may say."""
        timeouts = self._endpoint.timeouts
        options = {
            **{name: shown(value) for name, value in self._endpoint.params.items() if name != "drop_params"},
            **given,
            "model": self._model,
            "stream": stream,
            "num_retries": 0,
            "max_retries": 0,
            "timeout": httpx.Timeout(timeouts.total_s, connect=timeouts.connect_s),
            "no-log": True,
        }
        if stream:
            options["stream_options"] = {"include_usage": True}
        if self._endpoint.api_base is not None:
            options["api_base"] = self._endpoint.api_base
        key = self._key()
        return options if key is None else {**options, "api_key": key}

    def _key(self) -> str | None:
        """The deployment's key; None = litellm looks in the environment (Bedrock, Vertex, Azure, …)."""
        if self._endpoint.api_key is not None:
            return self._endpoint.api_key.get_secret_value()
        known = VENDORS.get(provider_of(self._endpoint.deployment.model))
        return _NO_KEY if self._endpoint.api_base is not None and known is not None and known.key_names else None

    def _ours(self, error: Exception, *, streaming: bool = False) -> UpstreamError:
        if isinstance(error, UpstreamError):
            return error
        return error_of(error, streaming=streaming, where=self._model, secrets=secrets_of(self._endpoint))


def litellm_name(model: str) -> tuple[str, str]:
    """(provider as litellm calls it, model): `bedrock_converse/x` -> `bedrock`, `vertex_ai-language-models/x`."""
    provider = provider_of(model)
    known = "vertex_ai" if provider.startswith("vertex_ai-") else _PROVIDERS.get(provider, provider)
    return known, bare_model(model)


def _dialect(litellm: Any, provider: str, name: str) -> Dialect:
    supported = litellm.get_supported_openai_params(model=name, custom_llm_provider=provider)
    from litellm.types.utils import all_litellm_params  # noqa: PLC0415 - heavy

    return Dialect(
        provider=provider,
        supported=None if supported is None else frozenset(supported),
        open_body=provider in _OPEN_BODIES or provider in litellm.openai_compatible_providers,
        owned=frozenset({*all_litellm_params, *_ROUTING}),
    )


async def _closed(stream: Any) -> None:
    """Give the connection back, however the stream ended."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()


def _first_line(error: Exception) -> str:
    return str(error).removeprefix("litellm.UnsupportedParamsError: ").partition("\n")[0].partition(". To drop")[0]
