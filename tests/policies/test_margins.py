"""How far ahead the winner is: candidates, labels, scales, and replies that give nothing."""

import math

import pytest

from cascade.margins import MAX_LOGPROB_GAP, MEASURES, as_probability_gap, from_probability_gap, margin


def body(*tokens):
    """A completion whose tokens have these (candidate, probability) pairs, the first one chosen."""
    content = [
        {
            "token": token[0][0],
            "logprob": math.log(token[0][1]),
            "top_logprobs": [{"token": name, "logprob": math.log(p)} for name, p in token],
        }
        for token in tokens
    ]
    return {"choices": [{"message": {"content": "x"}, "logprobs": {"content": content}}]}


@pytest.mark.parametrize(
    ("token", "gap"),
    [
        pytest.param([("Yes", 0.6), ("No", 0.3)], 0.3, id="two words"),
        pytest.param([("Yes", 0.5), (" yes", 0.3), ("No", 0.1)], 0.4, id="a variant of the winner is no rival"),
        pytest.param([("New", 0.5), ("New York", 0.3), ("Old", 0.1)], 0.4, id="a superstring is no rival"),
        pytest.param([("Paris", 0.5), ("Par", 0.3), ("Rome", 0.1)], 0.4, id="a substring is no rival"),
        pytest.param([("A", 0.5), (" a", 0.2), ("Because", 0.2), ("B", 0.1)], 0.4, id="labels rival labels alone"),
        pytest.param([("A", 0.5), ("Based", 0.3)], 0.5, id="a label without another label has no rival"),
        pytest.param([("7", 0.5), ("8", 0.3)], 0.2, id="digits are labels too"),
        pytest.param([("\n", 0.5), ("Yes", 0.3)], 0.2, id="a blank winner is not a part of everything"),
        pytest.param([("Yes", 0.3), ("No", 0.6)], 0.3, id="the best counts, not the sampled one"),
        pytest.param([("Yes", 1.0)], 1.0, id="one candidate alone"),
    ],
)
def test_the_gap_of_the_first_token(token, gap):
    assert margin(body(token, [("x", 0.5), ("y", 0.5)])) == pytest.approx(gap)


def test_the_mean_goes_over_all_tokens():
    told = body([("yes", 0.6), ("no", 0.3)], [("it", 0.9), ("we", 0.0001)])
    assert margin(told, "mean:probability") == pytest.approx((0.3 + 0.8999) / 2)


def test_the_gap_of_logarithms_orders_differently():
    sure, unsure = body([("yes", 0.5), ("no", 0.01)]), body([("yes", 0.9), ("no", 0.08)])
    assert margin(sure) < margin(unsure)
    assert margin(sure, "first:logprob") > margin(unsure, "first:logprob")


def test_without_a_rival_the_gap_of_logarithms_is_bounded():
    assert margin(body([("yes", 0.5)]), "first:logprob") == MAX_LOGPROB_GAP


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"choices": []},
        {"choices": [{"logprobs": None}]},
        {"choices": [{"logprobs": {"content": None}}]},
        {"choices": [{"logprobs": {"content": []}}]},
        {"choices": [{"logprobs": {"content": [{"token": "a", "logprob": None}]}}]},
        {"choices": [{"logprobs": {"content": [{"token": "a", "logprob": math.nan}]}}]},
        {"choices": [{"logprobs": "odd"}]},
    ],
)
@pytest.mark.parametrize("by", MEASURES)
def test_a_reply_without_log_probabilities_has_no_margin(told, by):
    assert margin(told, by) is None


@pytest.mark.parametrize("gap", [0.0, 0.2, 0.5, 0.99])
def test_a_wanted_probability_gap_is_the_same_in_either_scale(gap):
    assert as_probability_gap(from_probability_gap(gap, "logprob"), "logprob") == pytest.approx(gap)


def test_certainty_is_a_finite_gap_of_logarithms():
    assert from_probability_gap(1.0, "logprob") == MAX_LOGPROB_GAP
