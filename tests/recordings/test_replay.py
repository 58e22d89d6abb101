"""Replay over the small recording: what is asked, paid, learnt and scored."""

import json

import numpy as np
import pytest
from recording_builder import Draft

from cascade.lab.embeddings import CachedEmbedder
from cascade.lab.score import wilson
from cascade.policies.always import Always
from cascade.policies.baselines import Agreement, BottomUp, RandomMix
from cascade.policies.llm_at import LlmAt, LlmAtSettings
from cascade.recordings import load
from cascade.replay import Oracle, as_json, replay, stream
from router.domain import Ask, Deliver, Judge
from router.errors import ConfigError

LADDER = ("small", "vendor/medium", "large")


class FakeEmbedder:
    """A text's vector is made of its bytes: equal texts are equally far from everything."""

    model = "fake"

    def __init__(self):
        self.asked = []

    def embed_many(self, texts):
        self.asked += texts
        rows = [np.bincount(np.frombuffer(text.encode(), np.uint8), minlength=256) for text in texts]
        made = np.array(rows, dtype=np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture
def draft():
    return Draft()


@pytest.fixture
def recorded(draft, tmp_path):
    return lambda: load(draft.write(tmp_path / "r"))


@pytest.fixture
def embedder(tmp_path):
    return CachedEmbedder(FakeEmbedder(), tmp_path / "cache" / "embeddings.sqlite")


def only(recording, policy, **choice):
    (row,) = replay(stream(recording, **choice), [policy])
    return row


def test_always_one_tier_pays_its_answers_and_nothing_else(recorded):
    row = only(recorded(), Always("small"))
    assert row.accuracy == 0.5
    assert row.generate_nanousd == 6 * 20 * 100 + (10 + 11 + 12 + 13 + 14 + 15) * 400
    assert row.judge_nanousd == 0
    assert row.latency_s == 0.5
    assert row.starts == {"small": 6, "vendor/medium": 0, "large": 0}


def test_bottom_up_pays_judges_at_the_recorded_judges_prices(recorded):
    row = only(recorded(), BottomUp())
    assert row.accuracy == 1.0
    assert row.starts == {"small": 6, "vendor/medium": 0, "large": 0}
    assert row.served == {"small": 3, "vendor/medium": 2, "large": 1}
    judged = 5 + 3  # small's answers but the abstention, and medium's after each no
    assert row.judge_nanousd == judged * (100 * 1000 + 3 * 4000)
    assert row.judge.as_json() == {"accept_right": 1.0, "accept_wrong": 0.0}


def test_an_abstention_escalates_without_a_judge(recorded):
    row = only(recorded(), BottomUp())
    story = row.stories[3]
    assert [attempt.verdict for attempt in story.attempts] == ["abstained", "valid"]
    assert story.attempts[0].judge_calls == ()


def test_agreement_compares_recorded_final_answers(recorded):
    row = only(recorded(), Agreement())
    assert row.served == {"small": 0, "vendor/medium": 4, "large": 2}
    assert row.judge.as_json() == {"accept_right": None, "accept_wrong": None}


def test_random_mixing_is_deterministic(recorded):
    recording = recorded()
    assert only(recording, RandomMix(0.5)) == only(recording, RandomMix(0.5))


def test_the_oracle_takes_the_cheapest_rung_that_is_right(recorded):
    row = only(recorded(), Oracle())
    assert row.accuracy == 1.0
    assert row.served == {"small": 3, "vendor/medium": 2, "large": 1}
    assert row.judge_nanousd == 0


def test_where_nobody_is_right_the_oracle_takes_the_cheapest(draft, recorded):
    for answers in draft.answers.values():
        answers[0]["correct"] = 0
    assert only(recorded(), Oracle()).stories[0].served.tier == "small"


def test_a_simulated_judge_is_billed_as_the_readme_says(tmp_path):
    recording = load(Draft("simulated").write(tmp_path / "r"))
    story = only(recording, BottomUp()).stories[0]
    assert story.attempts[0].judge_calls[0].usage.prompt_tokens == 800 + 20 + 10
    assert story.attempts[0].judge_calls[0].model == "small"


def test_a_verdict_that_was_not_recorded_is_a_judge_that_failed(draft, recorded):
    del draft.answers["small"][0]["judge"]
    story = only(recorded(), BottomUp()).stories[0]
    assert story.served.tier == "small"
    assert story.served.verdict_by.startswith("failed:")


def test_llm_at_learns_from_query_to_query(recorded, embedder):
    policy = LlmAt(LlmAtSettings(k=1, smoothing=0.1))
    (row,) = replay(stream(recorded(), "two"), [policy], embedder)
    sizes = [story.run.evidence.history_size for story in row.stories]
    assert sizes == [0, 1, 2, 3, 4, 5]
    repeated = row.stories[5]  # the same text as q4, which small answered
    assert repeated.run.evidence.neighbours[0].id == "q4"
    assert repeated.run.evidence.neighbours[0].similarity == 1.0
    assert repeated.attempts[0].tier == "small"
    assert row.settings["k"] == 1


def test_grades_are_never_seen_by_a_policy(draft, recorded, embedder, tmp_path):
    policy = LlmAt(LlmAtSettings(k=2, smoothing=1))
    (row,) = replay(stream(recorded()), [policy], embedder)
    for answers in draft.answers.values():
        for answer in answers:
            answer["correct"] = 1 - answer["correct"]
    (other,) = replay(stream(load(draft.write(tmp_path / "flipped"))), [policy], embedder)
    told = [[(attempt.tier, attempt.verdict) for attempt in story.attempts] for story in row.stories]
    assert told == [[(attempt.tier, attempt.verdict) for attempt in story.attempts] for story in other.stories]
    assert other.correct == 6 - row.correct


def test_a_query_without_text_starts_without_evidence(draft, recorded, embedder):
    draft.queries[2]["messages"][1]["content"] = [{"type": "image_url", "image_url": {"url": "x"}}]
    (row,) = replay(stream(recorded()), [LlmAt(LlmAtSettings(k=1))], embedder)
    assert "no text" in row.stories[2].run.evidence.note
    assert row.stories[3].run.evidence.history_size == 2


def test_a_policy_that_looks_at_neighbours_needs_an_embedder(recorded):
    with pytest.raises(ConfigError, match="embedding model"):
        replay(stream(recorded()), [LlmAt()])


class Sure:
    """Asks the lowest rung with log-probabilities, and serves what it says if its margin is large."""

    name = "sure"
    neighbours = 0
    settings = {}  # noqa: RUF012 - a fake

    def __init__(self):
        self.margins = []

    def decide(self, run):
        if not run.attempts:
            return Ask("small", "", logprobs=True)
        self.margins.append(run.attempts[0].answer.margin)
        return Deliver(0, "")


def test_a_recorded_confidence_stands_in_for_the_margin_and_is_paid_where_it_is_used(draft, recorded):
    draft.answers["small"][0]["confidence_usd"] = 0.001
    recording = recorded()
    policy = Sure()
    row = only(recording, policy)
    assert policy.margins == [0.25, 0.375, 0.5, 0.625, 0.75, 0.875]
    assert row.generate_nanousd == only(recording, Always("small")).generate_nanousd + 1_000_000
    assert only(recording, BottomUp()).stories[0].attempts[0].answer.margin is None


class Endless(Sure):
    def decide(self, run):
        return Judge("small", "") if run.attempts else Ask("small", "")


def test_a_policy_that_never_delivers_is_a_fault(recorded):
    with pytest.raises(RuntimeError, match="never delivers"):
        only(recorded(), Endless())


def test_a_tier_that_is_not_on_the_ladder_is_said(recorded):
    with pytest.raises(ConfigError, match="'huge', which is not on this ladder: small, vendor/medium, large"):
        only(recorded(), Always("huge"))


class TestStream:
    def test_a_split_keeps_its_order(self, recorded):
        assert [query.id for query in stream(recorded(), split="test").queries] == ["q1", "q3", "q5"]

    def test_a_seed_shuffles_always_the_same_way_and_then_the_limit_cuts(self, recorded):
        recording = recorded()
        shuffled = [query.id for query in stream(recording, shuffle=3).queries]
        assert sorted(shuffled) == [f"q{place}" for place in range(6)]
        assert shuffled != sorted(shuffled)
        assert [query.id for query in stream(recording, shuffle=3, limit=2).queries] == shuffled[:2]

    def test_a_pool_is_all_models_by_list_price(self, recorded):
        chosen = stream(recorded(), "pool")
        assert ([tier.name for tier in chosen.tiers], chosen.ladder) == (list(LADDER), "pool")

    def test_the_default_ladder_is_the_first_and_named(self, recorded):
        chosen = stream(recorded())
        assert (chosen.ladder, [tier.name for tier in chosen.tiers]) == ("default", list(LADDER))
        assert [tier.judge for tier in chosen.tiers] == ["vendor/medium", "vendor/medium", "large"]

    @pytest.mark.parametrize("choice", [{"limit": 0}, {"limit": -1}, {"split": "nope"}, {"ladder": "nope"}])
    def test_nothing_to_replay_is_an_error(self, recorded, choice):
        with pytest.raises(ConfigError):
            stream(recorded(), **choice)


class TestPartial:
    @pytest.fixture
    def partial(self, draft, recorded):
        draft.header["partial"] = True
        draft.answers["vendor/medium"] = draft.answers["vendor/medium"][:1]
        draft.answers["small"][0]["correct"] = None
        return recorded()

    def test_what_was_not_recorded_is_counted_not_guessed(self, partial):
        row = only(partial, BottomUp())
        # small's no or abstention on q1, q3 and q5 needs medium's answer, which is missing
        assert (row.queries, row.followed, row.graded, row.correct) == (6, 3, 2, 2)
        told = row.as_json()
        assert (told["unevaluable"], told["graded"], told["accuracy"]) == (0.5, 2, 1.0)
        assert row.starts["small"] == 3

    def test_a_missing_verdict_is_not_guessed_either(self, draft, recorded):
        draft.header["partial"] = True
        del draft.answers["small"][0]["judge"]
        assert not only(recorded(), BottomUp()).stories[0].followed

    def test_without_any_grade_there_is_a_cost_and_no_accuracy(self, draft, recorded):
        draft.header["partial"] = True
        for answer in draft.answers["small"]:
            answer["correct"] = None
        told = only(recorded(), Always("small")).as_json()
        assert (told["accuracy"], told["accuracy_ci"]) == (None, None)
        assert told["cost_usd"] > 0

    def test_the_oracle_chooses_among_what_is_there(self, partial):
        assert only(partial, Oracle()).followed == 6


class TestJson:
    def test_the_shape_is_the_one_in_the_issue(self, recorded):
        chosen = stream(recorded())
        told = json.loads(json.dumps(as_json(chosen, replay(chosen, [BottomUp(), Oracle()]))))
        assert (told["recording"], told["ladder"], told["queries"]) == ("tiny", "default", 6)
        keys = "policy settings accuracy accuracy_ci cost_usd generate_usd judge_usd latency_s starts served judge"
        assert set(told["rows"][0]) == set(keys.split())
        assert set(told["rows"][0]["judge"]) == {"accept_right", "accept_wrong"}
        assert [row["policy"] for row in told["rows"]] == ["bottom-up", "oracle"]

    def test_the_cost_is_the_sum_of_its_parts(self, recorded):
        row = only(recorded(), BottomUp()).as_json()
        assert row["cost_usd"] == pytest.approx(row["generate_usd"] + row["judge_usd"], abs=1e-12)

    def test_a_latency_is_null_unless_all_of_it_was_recorded(self, draft, recorded):
        del draft.answers["small"][5]["latency_s"]
        assert only(recorded(), Always("small")).as_json()["latency_s"] is None

    def test_a_judges_latency_counts(self, recorded):
        recording = recorded()
        assert only(recording, BottomUp()).stories[0].latency_s(recording) == 0.75


def test_progress_is_told(recorded, embedder):
    seen = []
    replay(stream(recorded()), [LlmAt(LlmAtSettings(k=1)), Oracle()], embedder, lambda *told: seen.append(told))
    assert seen == [("embedding", 5, 5), ("llm-at", 6, 6), ("oracle", 6, 6)]


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (318, 400, 0.7528, 0.8317), (1, 2, 0.0945, 0.9055)],
)
def test_the_interval_is_wilsons(correct, total, low, high):
    assert wilson(correct, total) == pytest.approx((low, high), abs=1e-4)
