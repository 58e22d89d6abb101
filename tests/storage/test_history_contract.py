"""What every History promises, whatever it is made of."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest
from outcomes import (
    EMBEDDER,
    MODELS,
    NOW,
    QUESTION,
    accepted_large,
    build_outcome,
    failed_outcome,
    labels,
    late_of,
    paid_call,
    rejected_small,
)

from router.domain import Answer, Caller, CostSource, Deliver, Label, LabelSource, Purpose, Stop, Verdict
from router.errors import StoreUnavailable
from router.labels import by_model

BLUE, RED, ADMIN = Caller(team="blue"), Caller(team="red"), Caller(team="ops", admin=True)
SECRET = "sphinx-of-black-quartz"


async def loaded(history, embedding_model=EMBEDDER):
    return [question async for batch in history.questions(embedding_model) for question in batch]


async def test_a_decision_tells_the_whole_story(history):
    outcome = build_outcome()
    await history.record(outcome)

    told = await history.decision("r-1", BLUE)

    assert (told["start_tier"], told["served_tier"], told["served_model"]) == ("small", "large", MODELS["large"])
    assert told["why"] == "the top tier's answer"
    assert told["settings"] == {"threshold": 0.7, "k": 5}
    assert told["evidence"]["neighbours"] == [{"id": "r-0", "similarity": 0.91, "labels": {MODELS["small"]: 1.0}}]
    assert told["question"] == QUESTION
    assert told["tags"] == {"app": "search"}
    assert told["created_at"] == "2026-09-21T14:13:20.250000+00:00"
    assert told["usage"] == {"prompt_tokens": 120, "completion_tokens": 30}


async def test_a_decision_is_plain_json(history):
    await history.record(build_outcome())
    told = await history.decision("r-1", BLUE)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


async def test_money_is_told_in_usd_and_in_exact_nano_dollars(history):
    outcome = build_outcome(late_cost_nanousd=7)
    await history.record(outcome)

    told = await history.decision("r-1", BLUE)

    assert told["cost_nanousd"] == outcome.cost_nanousd > 0
    assert told["cost_usd"] == outcome.cost_nanousd / 10**9
    assert (told["late_cost_nanousd"], told["baseline_nanousd"]) == (7, 4_000_000)
    assert told["saved_nanousd"] == outcome.saved_nanousd
    assert sum(call["cost_nanousd"] for rung in told["attempts"] for call in rung["calls"]) == outcome.cost_nanousd
    assert [rung["cost_nanousd"] for rung in told["attempts"]] == [each.cost_nanousd for each in outcome.run.attempts]


async def test_rungs_come_in_order_with_verdicts_and_their_calls(history):
    await history.record(build_outcome())

    small, large = (await history.decision("r-1", BLUE))["attempts"]

    assert (small["tier"], small["verdict"], small["verdict_by"]) == ("small", "invalid", "judge:large")
    assert (small["reason"], small["confidence"], small["answer"]) == ("6 x 7 is not 41", 0.9, "The answer is 41.")
    assert [(call["purpose"], call["verdict"]) for call in small["calls"]] == [
        ("generate", "error"),
        ("generate", "invalid"),
        ("judge", "invalid"),
    ]
    assert (large["verdict"], large["final_answer"], large["p_valid"]) == ("unjudged", "42", 0.81)


async def test_each_call_carries_the_prices_it_was_billed_at(history):
    await history.record(build_outcome())
    _, large = (await history.decision("r-1", BLUE))["attempts"]
    assert large["calls"][0]["prices"] == {
        "input_nanousd_per_mtok": 3_000_000_000,
        "output_nanousd_per_mtok": 15_000_000_000,
        "long_context": [
            {
                "above_prompt_tokens": 200_000,
                "input_nanousd_per_mtok": 6_000_000_000,
                "output_nanousd_per_mtok": 22_500_000_000,
            }
        ],
    }


async def test_calls_outside_the_rungs_are_told_apart(history):
    embed = paid_call("small", Purpose.EMBED)
    await history.record(build_outcome(extra_calls=(embed,)))

    told = await history.decision("r-1", BLUE)

    assert [call["purpose"] for call in told["other_calls"]] == ["embed"]
    assert [call["position"] for rung in told["attempts"] for call in rung["calls"]] == [1, 2, 3, 4]


async def test_a_request_that_only_failed_is_told_with_its_errors(history):
    await history.record(failed_outcome())

    told = await history.decision("r-error", BLUE)

    assert told["served_tier"] is None
    assert told["error"] == {"type": "UpstreamUnavailable", "code": "upstream_unavailable", "message": "circuit open"}
    assert [(rung["tier"], rung["verdict"], rung["error"]) for rung in told["attempts"]] == [
        ("small", "error", "timeout"),
        ("large", "error", "UpstreamUnavailable: circuit open"),
    ]
    assert told["attempts"][1]["calls"] == []


async def test_an_unpriced_model_leaves_the_cost_unknown_not_zero(history):
    call = paid_call("large", cost_nanousd=None, cost_source=CostSource.UNPRICED, price=None)
    rung = replace(accepted_large(), calls=(call,))
    await history.record(build_outcome(attempts=(rung,)))

    told = await history.decision("r-1", BLUE)

    assert (told["cost_nanousd"], told["cost_usd"], told["saved_nanousd"]) == (None, None, None)


async def test_openais_form_of_the_id_is_accepted(history):
    await history.record(build_outcome())
    assert (await history.decision("chatcmpl-r-1", BLUE))["id"] == "r-1"
    assert await history.feedback("chatcmpl-r-1", BLUE, 1.0, "", "") is not None


async def test_another_team_sees_nothing_and_an_admin_everything(history):
    await history.record(build_outcome())
    assert await history.decision("r-1", RED) is None
    assert await history.feedback("r-1", RED, 0.0, "mallory", "") is None
    assert (await history.decision("r-1", ADMIN))["labels"] == (await history.decision("r-1", BLUE))["labels"]
    assert await history.feedback("r-1", ADMIN, 0.0, "", "") is not None


@pytest.mark.parametrize("unknown", ["nobody", "", "chatcmpl-", "a\x00b", "\ud800"])
async def test_an_unknown_id_is_none_never_an_error(history, unknown):
    assert await history.decision(unknown, ADMIN) is None
    assert await history.feedback(unknown, ADMIN, 1.0, "", "") is None
    assert await history.late_cost(unknown, 5) is False


async def test_recording_twice_counts_once(history):
    await history.record(build_outcome(late_cost_nanousd=1))
    await history.record(build_outcome(late_cost_nanousd=2, attempts=(rejected_small(), rejected_small())))

    told = await history.decision("r-1", BLUE)

    assert told["late_cost_nanousd"] == 1
    assert [rung["tier"] for rung in told["attempts"]] == ["small", "large"]
    assert len(told["labels"]) == 2


async def test_the_same_id_twice_in_one_group_counts_once(history):
    await asyncio.gather(*(history.record(build_outcome(late_cost_nanousd=n)) for n in range(10)))
    told = await history.decision("r-1", BLUE)
    assert told["late_cost_nanousd"] == 0
    assert len(told["labels"]) == 2


async def test_questions_come_oldest_first_in_batches_for_all_teams(history):
    for place, team in enumerate(("blue", "red", "blue", "red", "blue")):
        await history.record(build_outcome(f"r-{place}", team=team, at=NOW - place // 2))

    batches = [batch async for batch in history.questions(EMBEDDER)]

    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert [each.id for batch in batches for each in batch] == ["r-4", "r-2", "r-3", "r-0", "r-1"]
    assert {each.team for batch in batches for each in batch} == {"blue", "red"}


async def test_a_stored_question_has_its_vector_and_labels(history):
    await history.record(build_outcome())
    (question,) = await loaded(history)
    assert question.vector.dtype == np.float32
    np.testing.assert_array_equal(question.vector, np.array([0.6, 0.8, 0.0], dtype=np.float32))
    assert question.labels == {MODELS["large"]: 1.0, MODELS["small"]: 0.0}


async def test_another_embedding_model_is_another_history(history):
    await history.record(build_outcome())
    await history.record(build_outcome("r-2", vector=None, embedding_model=""))
    assert await loaded(history, "another-model") == []
    assert [each.id for each in await loaded(history)] == ["r-1"]


async def test_an_unlabelled_question_is_loaded_too(history):
    await history.record(build_outcome(labels=()))
    assert [each.labels for each in await loaded(history)] == [{}]


async def test_feedback_replaces_the_label_of_the_model_that_answered(history):
    await history.record(build_outcome())

    now = await history.feedback("r-1", BLUE, 0.25, "ann", "wrong unit")

    assert now.team == BLUE.team
    assert set(now.labels) == {
        Label("large", MODELS["large"], 0.25, LabelSource.FEEDBACK),
        Label("small", MODELS["small"], 0.0, LabelSource.AGREEMENT),
    }
    assert (await loaded(history))[0].labels == {MODELS["large"]: 0.25, MODELS["small"]: 0.0}


async def test_the_newest_feedback_counts_and_the_older_stays_on_record(history):
    await history.record(build_outcome())
    await history.feedback("r-1", BLUE, 0.0, "ann", "")
    await history.feedback("r-1", BLUE, 1.0, "bob", "ann misread it")

    told = (await history.decision("r-1", BLUE))["labels"]

    assert [(each["source"], each["by"], each["in_force"]) for each in told if each["tier"] == "large"] == [
        ("judge", "", False),
        ("feedback", "ann", False),
        ("feedback", "bob", True),
    ]


async def test_feedback_labels_an_answer_that_nobody_judged(history):
    await history.record(build_outcome(labels=()))
    now = await history.feedback("r-1", BLUE, 1.0, "", "")
    assert now.labels == (Label("large", MODELS["large"], 1.0, LabelSource.FEEDBACK),)


@pytest.mark.parametrize("last", [LabelSource.JUDGE, LabelSource.AGREEMENT, LabelSource.ASSUMED])
async def test_an_audit_counts_more_than_what_was_inferred(history, last):
    model = MODELS["small"]
    given = (Label("small", model, 0.0, LabelSource.AUDIT), Label("small", model, 1.0, last))
    await history.record(build_outcome(labels=given))
    assert (await loaded(history))[0].labels == {model: 0.0}


async def test_among_inferred_labels_the_newest_counts(history):
    model = MODELS["small"]
    given = (Label("small", model, 0.0, LabelSource.JUDGE), Label("small", model, 1.0, LabelSource.ASSUMED))
    await history.record(build_outcome(labels=given))
    assert (await loaded(history))[0].labels == {model: 1.0}


async def test_a_reloaded_question_reads_as_the_live_index_had_it_where_one_model_has_two_tiers(history):
    model = MODELS["small"]
    given = (Label("small", model, 0.0, LabelSource.AGREEMENT), Label("large", model, 1.0, LabelSource.ASSUMED))
    await history.record(build_outcome(labels=given))
    assert (await loaded(history))[0].labels == by_model(given) == {model: 0.0}


async def test_feedback_on_a_request_without_an_answer_is_none(history):
    await history.record(failed_outcome())
    assert await history.feedback("r-error", BLUE, 1.0, "", "") is None


async def test_late_costs_add_up_and_leave_the_cost_alone(history):
    outcome = build_outcome(late_cost_nanousd=5)
    await history.record(outcome)

    added = await asyncio.gather(*(history.late_cost("r-1", 10) for _ in range(5)))

    told = await history.decision("r-1", BLUE)
    assert added == [True] * 5
    assert (told["late_cost_nanousd"], told["cost_nanousd"]) == (55, outcome.cost_nanousd)


async def test_store_off_keeps_money_and_tiers_but_nothing_to_learn_from(history):
    outcome = build_outcome(store=False)
    await history.record(outcome)

    told = await history.decision("r-1", BLUE)

    assert (told["cost_nanousd"], told["served_tier"]) == (outcome.cost_nanousd, "large")
    assert [rung["verdict"] for rung in told["attempts"]] == ["invalid", "unjudged"]
    assert (told["stored"], told["question"], told["question_hash"], told["labels"]) == (False, None, None, [])
    assert await loaded(history) == []


async def test_store_off_keeps_no_text(history):
    rung = replace(rejected_small(), reason=SECRET, calls=(paid_call("small", error=SECRET), paid_call("small")))
    failed = failed_outcome("r-2", store=False).error
    failed.message = SECRET
    await history.record(build_outcome(store=False, question=SECRET, attempts=(rung, accepted_large())))
    await history.record(failed_outcome("r-2", store=False, error=failed))

    told = json.dumps([await history.decision("r-1", BLUE), await history.decision("r-2", BLUE)])

    assert SECRET not in told
    assert "The answer is" not in told


@pytest.mark.parametrize("odd", ["nul \x00 inside", "half a pair \ud83d", "😀 whole pair", ""], ids=ascii)
async def test_odd_text_never_costs_a_row(history, odd):
    await history.record(build_outcome(question=odd, settings={odd: odd, "p": float("nan")}))
    told = await history.decision("r-1", BLUE)
    assert told["question"] == odd.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd")
    assert told["settings"]["p"] is None


async def test_an_answer_served_unjudged_for_lack_of_budget_says_so(history):
    outcome = build_outcome(delivered=Deliver(0, "the cap is reached"), labels=labels()[1:])
    await history.record(outcome)
    told = await history.decision("r-1", BLUE)
    assert (told["served_tier"], told["why"]) == ("small", "the cap is reached")


async def test_ping_is_silent_while_the_store_is_there(history):
    await history.ping()


async def test_nothing_is_recorded_after_closing(history):
    await history.aclose()
    with pytest.raises(StoreUnavailable, match="closed"):
        await history.record(build_outcome())


async def test_closing_twice_is_harmless(history):
    await history.aclose()
    await history.aclose()


async def test_a_late_verdict_adds_its_call_its_cost_and_its_labels(history):
    outcome = build_outcome()
    await history.record(outcome)
    late = late_of(outcome)

    in_force = await history.late(late)

    told = await history.decision("r-1", BLUE)
    assert told["late_cost_nanousd"] == late.cost_nanousd > 0
    assert told["cost_nanousd"] == outcome.cost_nanousd
    large = told["attempts"][1]
    assert (large["verdict"], [call["verdict"] for call in large["calls"]]) == ("unjudged", ["unjudged", "valid"])
    assert [call["position"] for rung in told["attempts"] for call in rung["calls"]] == [0, 1, 2, 3, 4]
    assert told["evidence"]["late"] == {
        "tier": "large",
        "verdict": "valid",
        "by": "judge:large",
        "reason": "6 x 7 = 42",
        "checks": [],
    }
    assert {label.tier: label.correct for label in in_force} == {"small": 0.0, "large": 0.25}
    (question,) = await loaded(history)
    assert question.labels == {MODELS["small"]: 0.0, MODELS["large"]: 0.25}


async def test_a_late_verdict_does_not_overrule_feedback(history):
    outcome = build_outcome()
    await history.record(outcome)
    await history.feedback("r-1", BLUE, 1.0, "", "")
    in_force = await history.late(late_of(outcome))
    assert {label.tier: label.correct for label in in_force}["large"] == 1.0


async def test_a_late_verdict_of_an_unknown_request_changes_nothing(history):
    assert await history.late(late_of(build_outcome("r-nobody"))) is None


async def test_a_late_verdict_without_leave_to_store_keeps_money_alone(history):
    outcome = build_outcome(store=False, labels=())
    await history.record(outcome)
    assert await history.late(late_of(outcome)) == ()
    told = await history.decision("r-1", BLUE)
    assert told["late_cost_nanousd"] > 0
    assert told["evidence"]["late"]["reason"] is None
    assert "6 x 7 = 42" not in json.dumps(told)


async def test_the_last_turn_of_each_conversation_is_remembered(history):
    await history.record(build_outcome("r-1", at=NOW))
    await history.record(build_outcome("r-2", at=NOW + 60))
    await history.record(build_outcome("r-3", at=NOW + 120, key_id="key-2"))
    await history.record(failed_outcome("r-4", at=NOW + 180))

    turns = {turn.key_id: turn for turn in await history.turns(NOW - 1)}

    assert set(turns) == {"key-1", "key-2"}
    turn = turns["key-1"]
    assert (turn.session, turn.tier, turn.model) == ("chat-9", "large", MODELS["large"])
    assert (turn.prompt_tokens, turn.completion_tokens, turn.rejected) == (120, 30, False)
    assert turn.answered_at == pytest.approx(NOW + 62.4)
    assert [turn.key_id for turn in await history.turns(NOW + 100)] == ["key-2"]


async def test_a_turn_that_was_found_wrong_is_remembered_as_such(history):
    before = build_outcome("r-1", attempts=(rejected_small(),), delivered=Deliver(0, "the cap", Stop.BUDGET))
    after = build_outcome("r-2", key_id="key-2")
    await history.record(before)
    await history.record(after)
    await history.late(late_of(after, Verdict.INVALID))
    assert [turn.rejected for turn in await history.turns(NOW - 1)] == [True, True]


async def test_a_turn_that_its_feedback_calls_wrong_is_remembered_as_such_until_somebody_says_otherwise(history):
    await history.record(build_outcome("r-1"))
    for score, rejected in ((0.2, True), (0.5, False), (0.0, True)):
        await history.feedback("r-1", Caller(admin=True), score, "", "")
        (told,) = await history.turns(NOW - 1)
        assert await history.turn("key-1", "chat-9", (), NOW - 1) == told
        assert told.rejected is rejected


def calling(request_id, *calls, at=NOW, **more):
    """An outcome whose answer calls tools."""
    made = build_outcome(request_id, at=at, **more)
    message = {"role": "assistant", "tool_calls": [{"id": call, "type": "function"} for call in calls]}
    last = made.run.attempts[-1]
    served = replace(last, answer=Answer({"choices": [{"message": message}]}))
    return replace(made, run=replace(made.run, attempts=(*made.run.attempts[:-1], served)))


async def test_a_conversations_last_turn_is_found_by_its_session_or_by_a_tools_call(history):
    await history.record(calling("r-1", "call_1"))
    await history.record(calling("r-2", "call_2", "call_3", at=NOW + 60))
    await history.record(calling("r-3", "call_2", at=NOW + 90, key_id="key-2"))
    last = await history.turn("key-1", "chat-9", (), NOW - 1)
    assert (last.tier, last.answered_at) == ("large", pytest.approx(NOW + 62.4))
    assert await history.turn("key-1", None, ["call_3"], NOW - 1) == last
    assert (await history.turn("key-1", None, ["call_1"], NOW - 1)).answered_at == pytest.approx(NOW + 2.4)
    assert await history.turn("key-1", "another", ["call_9"], NOW - 1) is None
    assert await history.turn("key-2", None, ["call_3"], NOW - 1) is None
    assert await history.turn("key-1", "chat-9", (), NOW + 100) is None
