"""Where a conversation stands: told by outcomes, known by session or by tool call, forgotten in time."""

from __future__ import annotations

from dataclasses import replace

from router.conversations import Conversations
from router.domain import (
    Answer,
    Attempt,
    Call,
    Caller,
    CostSource,
    Deliver,
    Outcome,
    Purpose,
    Request,
    Run,
    Tier,
    Verdict,
    Wishes,
)
from router.ports import StoredTurn
from router.pricing import Usage


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def ask(session="s", messages=None, key="k", id="r-1"):  # noqa: A002 - the request's id
    body = {"messages": messages or [{"role": "user", "content": "hello"}]}
    return Request(id, 0.0, body, "llm-at", "hello", Caller(key), Wishes(session=session))


def outcome(request, tier="medium", verdict=Verdict.VALID, calls=()):
    message = {"role": "assistant", "content": "hi", "tool_calls": [{"id": each} for each in calls]}
    call = Call(
        Purpose.GENERATE, tier, "d", f"simulated/{tier}", None, Usage(900, 100), 1, CostSource.USAGE, latency_s=0.1
    )
    served = Attempt(tier, "why", calls=(call,), answer=Answer({"choices": [{"message": message}]}), verdict=verdict)
    run = Run((Tier(tier, (), 0.5, tier),), tier, attempts=(served,))
    return Outcome(request, run, Deliver(0, "served"), {}, (), None, 0.0, 0.1, 0.0)


def keeper(**settings):
    clock = Clock()
    return Conversations(clock=clock, **settings), clock


def test_a_session_is_known_by_its_last_turn():
    known, clock = keeper()
    known.told(outcome(ask(), "small"))
    known.told(outcome(ask(id="r-2"), "medium"))
    clock.now += 30
    found = known.of(ask(id="r-3"))
    assert (found.tier, found.model, found.tokens, found.answer_tokens) == ("medium", "simulated/medium", 1000, 100)
    assert (found.age_s, found.warm, found.rejected, found.tool_result) == (30.0, True, False, False)


def test_another_key_or_session_is_another_conversation():
    known, _ = keeper()
    known.told(outcome(ask()))
    assert known.of(ask(key="other")) is None
    assert known.of(ask(session="other")) is None
    assert known.of(ask(session=None)) is None


def test_a_cache_grows_cold_before_the_conversation_is_forgotten():
    known, clock = keeper(warm_s=300, remembered_s=3600)
    known.told(outcome(ask()))
    clock.now += 301
    assert not known.of(ask()).warm
    clock.now += 3600
    assert known.of(ask()) is None


def test_a_tool_result_is_known_by_its_call_without_a_session():
    known, _ = keeper()
    known.told(outcome(ask(session=None), "medium", calls=("call_1", "call_2")))
    results = [{"role": "user", "content": "weather?"}, {"role": "tool", "tool_call_id": "call_2", "content": "7"}]
    found = known.of(ask(session=None, messages=results))
    assert (found.tier, found.tool_result) == ("medium", True)


def test_a_tool_results_call_counts_more_than_its_session():
    known, _ = keeper()
    known.told(outcome(ask(), "medium", calls=("call_1",)))
    known.told(outcome(ask(id="r-2"), "small"))
    results = [{"role": "tool", "tool_call_id": "call_1", "content": "7"}]
    assert known.of(ask(messages=results)).tier == "medium"


def test_an_old_tool_call_in_the_middle_is_no_tool_result():
    known, _ = keeper()
    known.told(outcome(ask(session=None), "medium", calls=("call_1",)))
    messages = [{"role": "tool", "tool_call_id": "call_1", "content": "7"}, {"role": "user", "content": "and now?"}]
    assert known.of(ask(session=None, messages=messages)) is None


def test_a_served_rejection_and_a_late_one_are_remembered():
    known, _ = keeper()
    known.told(outcome(ask(), verdict=Verdict.INVALID))
    assert known.of(ask()).rejected
    known.told(outcome(ask(id="r-2")))
    assert not known.of(ask()).rejected
    known.rejected("r-2")
    known.rejected("nobody")
    assert known.of(ask()).rejected


def test_an_error_is_no_turn():
    known, _ = keeper()
    failed = outcome(ask())
    known.told(replace(failed, delivered=Deliver(None, "failed")))
    assert known.of(ask()) is None


def test_the_store_gives_conversations_back():
    known, _ = keeper()
    old = StoredTurn("r-1", "k", "s", "small", "simulated/small", 10, 5, 900.0, rejected=False)
    known.load([replace(old, tier="medium", answered_at=950.0), old])
    found = known.of(ask())
    assert (found.tier, found.tokens, found.answer_tokens, found.age_s) == ("medium", 15, 5, 50.0)


class Store:
    """Says of a session's last turn what it was told to say."""

    def __init__(self, said):
        self.said = said

    async def turn(self, key_id, session, calls, since):
        return self.said


STORED = StoredTurn("r-1", "k", "s", "small", "simulated/small", 10, 5, 990.0, rejected=False)


async def test_a_no_that_another_worker_heard_counts_although_the_turn_is_known_here():
    known, _ = keeper(elsewhere=Store(replace(STORED, rejected=True)))
    known.told(outcome(ask(), "small"))
    assert (await known.find(ask())).rejected


async def test_a_no_that_this_worker_heard_outlasts_what_the_store_does_not_know_yet():
    known, _ = keeper(elsewhere=Store(replace(STORED, answered_at=1001.0)))
    known.told(outcome(ask(), "small"))
    known.rejected("r-1")
    assert (await known.find(ask())).rejected


async def test_another_workers_newer_turn_is_the_last_one():
    known, _ = keeper(elsewhere=Store(replace(STORED, id="r-2", tier="large", answered_at=1001.0)))
    known.told(outcome(ask(), "small"))
    assert (await known.find(ask())).tier == "large"


def test_memory_is_bounded():
    known, _ = keeper(most_keys=4)
    for number in range(10):
        known.told(outcome(ask(session=f"s{number}", id=f"r-{number}")))
    assert known.of(ask(session="s0")) is None
    assert known.of(ask(session="s9")) is not None


def test_a_long_conversation_takes_the_place_of_one():
    known, _ = keeper(most_keys=4)
    known.told(outcome(ask(session="quiet", id="r-0")))
    for number in range(1, 10):
        known.told(outcome(ask(session="busy", id=f"r-{number}")))
    known.rejected("r-9")
    assert known.of(ask(session="quiet")) is not None
    assert known.of(ask(session="busy")).rejected


def test_odd_messages_are_no_tool_results():
    known, _ = keeper()
    for messages in (["x"], [{"role": "tool"}], [{"role": "tool", "tool_call_id": 7}]):
        assert known.of(ask(session=None, messages=messages)) is None
