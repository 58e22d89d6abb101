"""The endpoint that embeds our own questions is cut where it never ends, as every other upstream is."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from loopback import Loopback
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from app import wiring_models
from app.config.settings import Config
from router.errors import UpstreamBadReply


async def while_it_listens(http):
    yield b'{"data": ['
    while not await http.is_disconnected():
        yield b"0.1, " * 1_000


async def answer(http):
    await http.body()
    return StreamingResponse(while_it_listens(http), media_type="application/json")


async def test_an_embedding_without_end_is_cut(monkeypatch):
    monkeypatch.setattr(wiring_models, "MAX_REPLY_BYTES", 1_000_000)
    with Loopback(Starlette(routes=[Route("/v1/embeddings", answer, methods=["POST"])])) as server:
        config = Config.model_validate({"embedding": {"model": "m", "api_base": f"{server.url}/v1"}})
        async with AsyncExitStack() as stack:
            with pytest.raises(UpstreamBadReply, match="larger than 1000000 bytes"):
                await wiring_models.open_embedder(config, stack)
