"""What a deployment is sent, and what it may cost at worst."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import PRICE, tier

from cascade.quotes import LEAST_OUTPUT_TOKENS, Means, Size, check_boundable, least_nanousd, quote, with_limit
from cascade.upstreams.params import translate
from router.domain import Deployment, ModelFacts
from router.errors import RequestError
from router.pricing import Price, Rates, Usage, cost_nanousd, per_mtok

REASONING = frozenset({"reasoning"})
ROWS = {
    "a plain model keeps all": (
        "openai/gpt-4o",
        {},
        {"max_tokens": 5, "temperature": 0},
        {"max_tokens": 5, "temperature": 0},
        (),
    ),
    "reasoning: another name for the limit": (
        "openai/o3",
        {"capabilities": REASONING},
        {"max_tokens": 5},
        {"max_completion_tokens": 5},
        ("max_tokens -> max_completion_tokens",),
    ),
    "reasoning: no temperature": (
        "openai/o3",
        {"capabilities": REASONING},
        {"temperature": 0},
        {},
        ("temperature dropped",),
    ),
    "reasoning: the default temperature stays": (
        "openai/o3",
        {"capabilities": REASONING},
        {"temperature": 1},
        {"temperature": 1},
        (),
    ),
    "other vendors: the old name": (
        "groq/llama",
        {},
        {"max_completion_tokens": 5},
        {"max_tokens": 5},
        ("max_completion_tokens -> max_tokens",),
    ),
    "both limits: the new one counts": (
        "openai/o3",
        {"capabilities": REASONING},
        {"max_tokens": 9, "max_completion_tokens": 5},
        {"max_completion_tokens": 5},
        ("max_tokens -> max_completion_tokens",),
    ),
    "no logprobs": (
        "openai/x",
        {"lacks": frozenset({"logprobs"})},
        {"logprobs": True, "top_logprobs": 2},
        {},
        ("logprobs dropped", "top_logprobs dropped"),
    ),
    "unknown parameters pass": ("openai/x", {}, {"made_up": 1}, {"made_up": 1}, ()),
}


@pytest.mark.parametrize(("model", "facts", "given_body", "sent", "changes"), ROWS.values(), ids=ROWS.keys())
def test_parameters_are_translated_for_the_deployment(model, facts, given_body, sent, changes):
    before = dict(given_body)
    found, dropped = translate(given_body, Deployment("d", model, PRICE, ModelFacts(**facts)))
    assert found == {**sent, "model": model.partition("/")[2]}
    assert dropped == changes
    assert given_body == before


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_our_limit_is_sent_under_the_clients_own_name(name):
    assert with_limit({name: 9}, 5) == {name: 5}


LIMITS = st.none() | st.integers(1, 5000)
RATES = st.builds(
    Rates,
    st.integers(0, 10**11),
    st.integers(0, 10**12),
    st.none() | st.integers(0, 10**11),
    st.none() | st.integers(0, 10**11),
    st.none() | st.integers(0, 10**12),
)
PRICES = st.builds(Price, RATES, st.just(()) | st.tuples(st.tuples(st.integers(1, 500), RATES)))


@st.composite
def bodies(draw):
    body = {"messages": [{"role": "user", "content": draw(st.text(max_size=200))}]}
    options = {"max_tokens": LIMITS, "max_completion_tokens": LIMITS, "n": st.none() | st.integers(1, 5)}
    return body | {name: value for name, kind in options.items() if (value := draw(kind)) is not None}


@given(bodies(), PRICES, st.integers(1, 10**9), st.none() | st.integers(1, 4096), st.data())
def test_no_usage_within_the_bounds_costs_more_than_was_reserved_or_left(body, price, left, maximum, data):
    deployment = Deployment("d", "openai/m", price, ModelFacts(max_output_tokens=maximum))
    size = Size.of(body)
    offer = quote(size, deployment, Means(left))
    if offer is None:
        return
    assert offer.worst_nanousd <= left
    assert offer.send_limit
    prompt = data.draw(st.integers(0, len(orjson.dumps(body))))
    completion = data.draw(st.integers(0, offer.output_limit * size.n))
    cached = data.draw(st.integers(0, prompt))
    written = data.draw(st.integers(0, prompt - cached))
    usage = Usage(prompt, completion, cached, written, data.draw(st.integers(0, completion)))
    assert cost_nanousd(usage, price) <= offer.worst_nanousd


@given(bodies(), st.none() | st.integers(1, 4096))
def test_the_least_that_is_named_buys_a_call_and_a_nano_less_does_not(body, maximum):
    rung = tier("small", max_output_tokens=maximum)
    size = Size.of(body)
    least = least_nanousd(size, rung)
    assert quote(size, rung.deployments[0], Means(least)) is not None
    assert quote(size, rung.deployments[0], Means(least - 1)) is None


QUOTES = [
    # client's limit, model's maximum, left -> limit, sent, ours
    (100, None, None, 4096, False, False),
    (100, 50, None, 50, False, False),
    (None, 9000, None, 4096, False, False),
    (9000, 10_000, None, 9000, False, False),
    (100, None, 10**9, 100, True, False),
    (None, 2000, 10**9, 2000, True, True),
    (5000, 2000, 10**9, 2000, True, True),
    (5, None, 10**9, 5, True, False),
]


@pytest.mark.parametrize(("wanted", "maximum", "left", "limit", "sent", "ours"), QUOTES)
def test_the_limit_is_the_smallest_of_clients_models_and_what_the_cap_affords(wanted, maximum, left, limit, sent, ours):
    deployment = Deployment("d", "openai/m", PRICE, ModelFacts(max_output_tokens=maximum))
    offer = quote(Size(10, wanted, 1), deployment, Means(left))
    if left is None and maximum is None:
        assert offer.output_limit >= wanted
    else:
        assert offer.output_limit == limit
    assert (offer.send_limit, offer.ours) == (sent, ours)


def test_a_cap_shortens_the_answer_and_says_that_it_did():
    left = (10 * per_mtok(1) + 30 * per_mtok(10)) // 10**6
    offer = quote(Size(10, 1000, 1), Deployment("d", "m", PRICE), Means(left))
    assert (offer.output_limit, offer.ours) == (30, True)


def test_an_answer_of_almost_no_tokens_is_not_bought():
    left = (10 * per_mtok(1) + (LEAST_OUTPUT_TOKENS - 1) * per_mtok(10)) // 10**6
    assert quote(Size(10, 1000, 1), Deployment("d", "m", PRICE), Means(left)) is None


def test_without_a_price_nothing_is_bought_under_a_cap():
    assert quote(Size(10, None, 1), Deployment("d", "m", None), Means(10**9)) is None
    assert quote(Size(10, None, 1), Deployment("d", "m", None), Means()).worst_nanousd == 0


@pytest.mark.parametrize("service", [None, "auto", "default", "flex"])
def test_plain_requests_can_be_bounded(service):
    check_boundable(
        {"messages": [{"content": [{"type": "text"}]}], "tools": [{"type": "function"}], "service_tier": service},
        "the cap",
    )


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("messages.1.content", {"messages": [{}, {"content": [{"type": "image_url"}]}]}),
        ("messages.0.audio", {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}),
        ("tools.0", {"tools": [{"type": "code_interpreter"}]}),
        ("audio", {"audio": {"voice": "x"}}),
        ("prediction", {"prediction": {}}),
        ("service_tier", {"service_tier": "priority"}),
    ],
)
def test_what_has_no_bound_is_named(param, body):
    with pytest.raises(RequestError) as caught:
        check_boundable(body, "the cap")
    assert caught.value.param == param
