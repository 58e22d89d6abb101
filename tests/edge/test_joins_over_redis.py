"""Two replicas with one Redis: what one runs the other joins, nothing is paid twice, and samples stay samples."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from functools import partial

import httpx
import pytest
from edge_server import EASY, config, plan_of, serving
from redis_server import running_redis
from test_cache_and_joins import rows, told
from test_clients_that_leave import PATIENT, send_and_leave
from test_request_errors import error_of
from test_request_headers import chat

from storage.sharing import redis_link

SLOW = {"small": {"fault": "slow_first_token", "seconds": 2}}
KEYED = {"idempotency-key": "order-7"}
RETRY = {"x-stainless-retry-count": "1"}
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def redis():
    with running_redis() as server:
        yield server


@pytest.fixture
def replicas(redis, catalog, tmp_path, monkeypatch):
    """Two servers on one store and one Redis, which is empty at first and may be slow."""
    monkeypatch.setattr(redis_link, "RedisLink", partial(redis_link.RedisLink, patience_s=20))
    redis.run("FLUSHALL")
    plan = plan_of(config(**PATIENT, redis={"url": redis.url}), tmp_path / "gearbox.db", catalog)
    with ExitStack() as stack:
        yield [stack.enter_context(serving(plan, tmp_path / "gearbox.db")) for _ in range(2)]


def ask(gearbox, **more):
    with httpx.Client(base_url=gearbox.url, timeout=60) as http:
        return chat(http, **more)


async def at_once(servers, headers=None, **more):
    """The same request to each of these servers at the same time; what each was told."""
    body = {"model": "llm-at", "messages": [{"role": "user", "content": EASY}], "simulate": SLOW, **more}
    async with httpx.AsyncClient(timeout=60) as http:
        asked = [http.post(f"{server.url}/v1/chat/completions", json=body, headers=headers) for server in servers]
        return [told(reply) for reply in await asyncio.gather(*asked)]


def paid(gearbox):
    """The calls that were paid."""
    return gearbox.sql("SELECT * FROM attempt WHERE cost_nanousd > 0 AND purpose = 'generate'")


@both
async def test_a_key_that_runs_on_one_replica_is_joined_from_the_other(replicas, stream):
    found = await at_once(replicas * 2, KEYED, stream=stream)
    assert sorted(cache for cache, *_ in found) == ["joined", "joined", "joined", "miss"]
    assert len({(request_id, text) for _, request_id, text in found}) == 1
    assert (len(rows(replicas[0])), len(paid(replicas[0]))) == (1, 1)


@both
def test_a_key_that_one_replica_has_answered_is_answered_from_store_by_the_other(replicas, stream):
    one, other = replicas
    first, second = (told(ask(each, stream=stream, headers=KEYED)) for each in (one, other))
    assert (first[0], second[0]) == ("miss", "joined")
    assert first[1:] == second[1:]
    assert (len(rows(one)), len(paid(one))) == (1, 1)


def test_a_key_with_another_body_is_a_400_on_the_other_replica(replicas):
    one, other = replicas
    ask(one, headers=KEYED)
    refused = ask(other, question="Another one?", headers=KEYED)
    assert (refused.status_code, error_of(refused)["param"]) == (400, "idempotency-key")


def test_an_sdks_retry_finds_the_run_that_its_client_left_on_the_other_replica(replicas, redis):
    one, other = replicas
    send_and_leave(one, 0.3, simulate=SLOW)
    deadline = time.monotonic() + 30
    while "gearbox" not in redis.run("KEYS", "*:join:*"):  # offered a moment after it was deserted
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert told(ask(other, simulate=SLOW, headers=RETRY))[0] == "joined"
    assert (len(rows(one)), len(paid(one))) == (1, 1)


async def test_five_parallel_samples_over_both_replicas_stay_five(replicas):
    found = await at_once((replicas * 3)[:5])
    assert [cache for cache, *_ in found] == ["miss"] * 5
    assert len({request_id for _, request_id, _ in found}) == len(rows(replicas[0])) == 5
