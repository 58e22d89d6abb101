"""The generator with log-probabilities and samples: what is sent, what is measured, what the client sees."""

import asyncio
import math

import pytest
from rides import FIRST, tier

from cascade.brake import Brake
from cascade.caller import Spoken
from cascade.generator import Generator
from cascade.purse import Purse
from cascade.upstreams.logprobs import AsAsked, as_asked, with_logprobs
from router.domain import Ask, Call, CostSource, Purpose, Request, Verdict
from router.errors import UpstreamRejected
from router.ports import Reply

TOP = [("Yes", 0.6), ("No", 0.3), ("Maybe", 0.05), ("Y", 0.03), ("N", 0.01)]


def entry():
    top = [{"token": token, "logprob": math.log(p)} for token, p in TOP]
    return {"token": "Yes", "logprob": math.log(0.6), "bytes": [89], "top_logprobs": top}


def completion(text="Yes", logprobs=True, **message):
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return {"choices": [{**choice, "logprobs": {"content": [entry()], "refusal": None} if logprobs else None}]}


class Upstream:
    """A `Caller` that answers in turn; the last answer repeats."""

    def __init__(self, *told):
        self.told = list(told)
        self.errands = []

    async def call(self, errand, purse):
        self.errands.append(errand)
        said = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        error = str(said) if isinstance(said, Exception) else None
        call = Call(Purpose.GENERATE, "small", "small-0", "m", None, None, 7, CostSource.USAGE, 0.1, error=error)
        if error is not None:
            return Spoken((call,), error=said)
        chunks = ({"choices": [{"index": 0, "delta": {"content": "Yes"}, "logprobs": said["choices"][0]["logprobs"]}]},)
        return Spoken((call,), Reply(said, chunks, None, 0.1, None))


LOGPROBS = Ask("small", "why", logprobs=True, margin=FIRST)


def asked(upstream, ask=LOGPROBS, **body):
    request = Request("r", 0.0, {"messages": [{"role": "user", "content": "?"}], **body}, "two-tier", "?")
    attempt, _ = asyncio.run(Generator(upstream).ask(request, tier("small"), ask, Purse(None), None, Brake()))
    return attempt


def test_enough_candidates_are_asked_for_whatever_the_client_wants():
    assert with_logprobs({})["top_logprobs"] >= 5
    assert with_logprobs({"logprobs": True, "top_logprobs": 2})["top_logprobs"] >= 5
    assert with_logprobs({"logprobs": True, "top_logprobs": 20})["top_logprobs"] == 20


def test_the_margin_is_measured_and_the_client_sees_nothing_of_it():
    attempt = asked(Upstream(completion()))
    assert (attempt.confidence, attempt.confidence_by) == (pytest.approx(0.3), FIRST)
    assert attempt.answer.body["choices"][0]["logprobs"] is None
    assert attempt.answer.chunks[0]["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(("wanted", "shown"), [({}, 0), ({"top_logprobs": 0}, 0), ({"top_logprobs": 2}, 2)])
def test_a_client_that_asked_gets_exactly_what_it_asked_for(wanted, shown):
    attempt = asked(Upstream(completion()), logprobs=True, **wanted)
    for choice in (attempt.answer.body["choices"][0], attempt.answer.chunks[0]["choices"][0]):
        (told,) = choice["logprobs"]["content"]
        assert told["token"] == "Yes"
        assert len(told["top_logprobs"]) == shown
    assert attempt.confidence == pytest.approx(0.3)


def test_a_live_stream_is_stripped_as_it_goes():
    heard = []

    class Sink:
        async def chunk(self, event):
            heard.append(event)

    chunk = {"choices": [{"index": 0, "delta": {"content": "Yes"}, "logprobs": {"content": [entry()]}}]}
    asyncio.run(AsAsked(Sink(), {}).chunk(chunk))
    assert heard == [{"choices": [{"index": 0, "delta": {"content": "Yes"}, "logprobs": None}]}]
    assert as_asked({"usage": {}}, {}) == {"usage": {}}


def test_an_upstream_that_leaves_them_out_is_found_out():
    attempt = asked(Upstream(completion(logprobs=False)))
    assert (attempt.confidence, attempt.confidence_by) == (None, FIRST)


def test_a_tool_call_without_them_says_nothing_about_the_upstream():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    told = completion(text=None, logprobs=False, tool_calls=[call])
    attempt = asked(Upstream(told), tools=[{"type": "function", "function": {"name": "f"}}])
    assert (attempt.confidence, attempt.confidence_by) == (None, "")


def test_an_upstream_that_refuses_them_is_asked_again_without():
    refusal = UpstreamRejected("logprobs is not supported", status=400, body={})
    upstream = Upstream(refusal, completion(logprobs=False))
    attempt = asked(upstream)
    assert [bool(errand.body.get("logprobs")) for errand in upstream.errands] == [True, False]
    assert (attempt.verdict, attempt.confidence_by, len(attempt.calls)) == (Verdict.UNJUDGED, FIRST, 2)


def test_what_the_client_itself_asked_for_is_not_taken_back():
    refusal = UpstreamRejected("logprobs is not supported", status=400, body={})
    upstream = Upstream(refusal)
    assert asked(upstream, logprobs=True).verdict is Verdict.ERROR
    assert len(upstream.errands) == 1


def test_samples_are_drawn_with_chance_and_compared():
    answers = [completion(f"The answer is {final}.", logprobs=False) for final in ("A", "A", "B", "A", "nothing")]
    upstream = Upstream(*answers)
    attempt = asked(upstream, Ask("small", "why", samples=5, temperature=0.7), temperature=0, seed=1, stream=True)
    assert (attempt.confidence, attempt.confidence_by) == (0.5, "agreement:5")
    assert [errand.body.get("temperature") for errand in upstream.errands] == [0, 0.7, 0.7, 0.7, 0.7]
    assert not any("seed" in errand.body or errand.stream for errand in upstream.errands[1:])
    assert attempt.cost_nanousd == 5 * 7


def test_samples_that_fail_are_left_out_and_still_told():
    refusal = UpstreamRejected("no", status=400, body={})
    attempt = asked(Upstream(completion("The answer is A."), refusal), Ask("small", "why", samples=3, temperature=1.0))
    assert attempt.confidence_by != "agreement:3"
    assert len(attempt.calls) == 3
    assert attempt.calls[-1].error is None
