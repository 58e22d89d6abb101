"""What litellm must not do for whoever asks: follow redirects with our key, fetch from our own network, read for ever.

The law of this file: litellm is a parameter here, never an import. It changes the three places where litellm makes its
clients and decides what may be fetched, once in a process.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from cascade.upstreams.bounded import bound
from cascade.upstreams.streamed import MAX_REPLY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx


def guard(litellm: Any, handler: Any, openai_base: Any) -> None:
    """Make it so.

    Args:
        litellm: the package. Media that a client names by address is fetched for vendors that take none: only from
            public addresses, each redirect checked. That is litellm's default, and no environment changes it here.
        handler: its `AsyncHTTPHandler`: every vendor but those that speak OpenAI's dialect.
        openai_base: its `BaseOpenAILLM`: those, and Azure.
    """
    litellm.user_url_validation = True
    litellm.user_url_allowed_hosts = []
    if not hasattr(handler.create_client, "__wrapped__"):
        handler.create_client = _straight(handler.create_client)
        # A static method: wrapped as the function it is.
        openai_base._get_async_http_client = staticmethod(_straight(openai_base._get_async_http_client))  # noqa: SLF001 - the only place where that client is made


def _straight(make: Callable[..., Any]) -> Callable[..., Any]:
    """The same client, which stays at its address: httpx takes headers like `x-api-key` along to another host.

    And which reads no reply beyond `MAX_REPLY_BYTES`.
    """

    @wraps(make)
    def made(*given: Any, **named: Any) -> Any:
        client = make(*given, **named)
        if client is not None:
            client.follow_redirects = False
            hooks = client.event_hooks
            client.event_hooks = {**hooks, "response": [*hooks["response"], _bound]}
        return client

    return made


async def _bound(response: httpx.Response) -> None:
    await bound(response, MAX_REPLY_BYTES)
