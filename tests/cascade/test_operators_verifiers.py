"""The operator's verifiers: each kind says valid, invalid or abstained with a reason, whatever goes wrong."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from priced_runs import answered

from cascade.checks.command import ENVIRONMENT, CommandCheck
from cascade.checks.endpoint import EndpointCheck
from cascade.checks.examiner import Examiner, Verifier
from cascade.checks.json_schema import SchemaCheck
from cascade.checks.match import Match
from cascade.checks.pattern import PatternCheck
from cascade.checks.said import MAX_REASON, Said
from router.domain import Answer, CheckOutcome, Request, Verdict, Wishes
from router.errors import ConfigError

VALID, INVALID, ABSTAINED = CheckOutcome.VALID, CheckOutcome.INVALID, CheckOutcome.ABSTAINED
SKU = {"type": "object", "properties": {"sku": {"type": "string", "pattern": "^A"}}, "required": ["sku"]}


def request(tags=None, model="gpt-4o", **body):
    body = {"messages": [{"role": "user", "content": "q"}], **body}
    return Request("r-1", 0.0, body, "llm-at", "q", wishes=Wishes(tags=tags or {}), asked_model=model)


def python(source):
    return CommandCheck([sys.executable, "-c", source])


async def look(kind, text="42", seconds=10.0):
    async with asyncio.timeout(seconds):
        return await kind.look(request(), text)


MATCHES = [
    (Match(), request(), True),
    (Match(tag="app"), request({"app": "shop"}), True),
    (Match(tag="app=shop"), request({"app": "shop"}), True),
    (Match(tag="app=shop"), request({"app": "blog"}), False),
    (Match(tag="app"), request(), False),
    (Match(model="gpt-*"), request(), True),
    (Match(model="claude-*"), request(), False),
    (Match(schema="order*"), request(response_format={"json_schema": {"name": "order_v2"}}), True),
    (Match(schema="order"), request(response_format={"json_schema": {"name": "invoice"}}), False),
    (Match(schema="order"), request(response_format="odd"), False),
    (Match(tag="app", model="claude-*"), request({"app": "shop"}), False),
]


@pytest.mark.parametrize(("match", "asked", "fits"), MATCHES)
def test_a_verifier_looks_at_what_all_its_matches_fit(match, asked, fits):
    assert match.fits(asked) is fits


SCHEMA = [
    ('{"sku": "A1"}', VALID, "fits"),
    ('{"sku": "B1"}', INVALID, "does not match"),
    ("{}", INVALID, "required"),
    ("no", INVALID, "not JSON"),
]


@pytest.mark.parametrize(("text", "outcome", "words"), SCHEMA)
async def test_a_json_schema_decides(text, outcome, words):
    said = await look(SchemaCheck(SKU), text)
    assert (said.outcome, words in said.reason) == (outcome, True)


def test_a_broken_schema_or_pattern_is_a_configuration_error():
    with pytest.raises(ConfigError, match="no JSON schema"):
        SchemaCheck({"type": "nonsense"})
    with pytest.raises(ConfigError, match="no regular expression"):
        PatternCheck("(", "match", 1)


PATTERNS = [("match", "the answer is 42", VALID), ("match", "none", INVALID), ("no_match", "42", INVALID)]


@pytest.mark.parametrize(("expect", "text", "outcome"), PATTERNS)
async def test_a_pattern_decides(expect, text, outcome):
    assert (await look(PatternCheck(r"\b\d+\b", expect, 1), text)).outcome is outcome


async def test_a_pattern_that_backtracks_for_ever_abstains_in_time_and_blocks_nobody():
    started, ticks = time.monotonic(), 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    said = await look(PatternCheck(r"^(a|a?)+$|^(.*?,){30}P", "match", 0.3), "a," * 400 + "!")
    ticking.cancel()
    assert (said.outcome, "took longer" in said.reason) == (ABSTAINED, True)
    assert time.monotonic() - started < 3
    assert ticks > 3


COMMANDS = {
    "exit 0": ("print('fine')", VALID, "fine"),
    "exit 0 in silence": ("pass", VALID, "says yes"),
    "exit 1": ("print('too short\\nsecond line'); raise SystemExit(1)", INVALID, "too short"),
    "exit 1 in silence": ("raise SystemExit(1)", INVALID, "says no"),
    "any other exit": ("raise SystemExit(3)", ABSTAINED, "ended with 3"),
    "a crash": ("import os; os.kill(os.getpid(), 11)", ABSTAINED, "ended with -11"),
    "standard input": ("import sys; print(sys.stdin.read()[::-1])", VALID, "24"),
    "input unread": ("import os; os.close(0)", VALID, "says yes"),
    "no argument": ("import sys; print(len(sys.argv))", VALID, "1"),
}


@pytest.mark.parametrize(("source", "outcome", "reason"), COMMANDS.values(), ids=COMMANDS)
async def test_a_command_decides_by_its_exit(source, outcome, reason):
    said = await look(python(source))
    assert (said.outcome, reason in said.reason) == (outcome, True), said


async def test_a_command_gets_ten_megabytes_whole():
    said = await look(python("import sys; print(len(sys.stdin.buffer.read()))"), "x" * 10_000_000, 30)
    assert said.reason == "10000000"


async def test_a_command_sees_no_environment_of_ours(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    said = await look(python("import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE'))"))
    assert said.reason == str(sorted(ENVIRONMENT))


async def test_no_shell_reads_the_answer(tmp_path):
    spoiled = tmp_path / "spoiled"
    await look(python("import sys; sys.stdin.read()"), f"$(touch {spoiled}); `touch {spoiled}`")
    assert not spoiled.exists()


async def test_a_late_command_is_killed_with_everything_it_started(tmp_path):
    note = tmp_path / "pids"
    grandchild = "import time; time.sleep(60)"
    source = (
        f"import os, subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', {grandchild!r}]);"
        f"open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}'); time.sleep(60)"
    )
    examiner = Examiner([Verifier("slow", python(source), Match(), timeout_s=1.5)])
    judged = await examiner.examine(request(), answered("small"))
    (result,) = judged.checks
    assert (result.outcome, "longer than 1.5 s" in result.reason) == (ABSTAINED, True)
    for pid in read(note).split():
        await gone(int(pid))


def read(path):
    return path.read_text()


async def test_a_grandchild_does_not_outlive_a_command_that_ended(tmp_path):
    note = tmp_path / "pid"
    source = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        f" stdout=subprocess.DEVNULL); open({str(note)!r}, 'w').write(str(child.pid))"
    )
    assert (await look(python(source))).outcome is VALID
    await gone(int(read(note)))


async def gone(pid):
    """A killed orphan is collected by init; until then it is a zombie."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return
        if state == "Z":
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"process {pid} is still there")


async def test_a_command_that_prints_without_end_or_does_not_exist_abstains():
    for kind in (python("while True: print('x' * 1000)"), CommandCheck(["/nowhere/verify"])):
        (result,) = (await Examiner([Verifier("bad", kind, Match())]).examine(request(), answered("small"))).checks
        assert (result.outcome, "failed" in result.reason) == (ABSTAINED, True)


def endpoint(handler):
    client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return EndpointCheck("https://verify.example/check", {"x-key": "k"}, client)


REPLIES = [
    (httpx.Response(200, json={"verdict": "valid", "reason": "ok"}), VALID, "ok"),
    (httpx.Response(200, json={"verdict": "invalid"}), INVALID, "says invalid"),
    (httpx.Response(200, json={"verdict": "abstain", "reason": "busy"}), ABSTAINED, "busy"),
    (httpx.Response(200, json={"verdict": "perhaps"}), ABSTAINED, "without a"),
    (httpx.Response(200, json=[]), ABSTAINED, "without a"),
    (httpx.Response(200, text="yes"), ABSTAINED, "no JSON"),
    (httpx.Response(302, headers={"location": "http://169.254.169.254/"}), ABSTAINED, "status 302"),
    (httpx.Response(500, json={"verdict": "valid"}), ABSTAINED, "status 500"),
]


@pytest.mark.parametrize(("reply", "outcome", "reason"), REPLIES)
async def test_an_endpoint_decides(reply, outcome, reason):
    asked = []

    def handler(call):
        asked.append(call)
        return reply

    said = await look(endpoint(handler))
    assert (said.outcome, reason in said.reason) == (outcome, True)
    (call,) = asked
    assert call.headers["x-key"] == "k"
    assert b'"candidate":"42"' in call.content


async def test_an_endpoint_that_is_away_abstains():
    def handler(call):
        raise httpx.ConnectError("refused", request=call)

    judged = await Examiner([Verifier("away", endpoint(handler), Match())]).examine(request(), answered("small"))
    assert [(each.outcome, each.reason) for each in judged.checks] == [(ABSTAINED, "it failed (ConnectError)")]
    assert judged.verdict is Verdict.UNJUDGED


@dataclass
class Says:
    """A verifier that says the same of everything, and counts."""

    outcome: CheckOutcome
    asked: int = 0

    async def look(self, request, text):
        self.asked += 1
        return Said(self.outcome, f"{self.outcome} it is")


@pytest.mark.parametrize(
    ("outcomes", "replaces", "verdict", "by"),
    [
        ([VALID], True, Verdict.VALID, "verifier:v0"),
        ([VALID], False, Verdict.UNJUDGED, ""),
        ([INVALID], False, Verdict.INVALID, "verifier:v0"),
        ([ABSTAINED], True, Verdict.UNJUDGED, ""),
        ([VALID, INVALID], True, Verdict.INVALID, "verifier:v1"),
        ([ABSTAINED, VALID], True, Verdict.VALID, "verifier:v1"),
        ([], True, Verdict.UNJUDGED, ""),
    ],
)
async def test_a_no_decides_and_a_yes_only_where_it_replaces_the_judge(outcomes, replaces, verdict, by):
    verifiers = [Verifier(f"v{n}", Says(each), Match(), replaces) for n, each in enumerate(outcomes)]
    judged = await Examiner(verifiers).examine(request(), answered("small"))
    assert (judged.verdict, judged.verdict_by) == (verdict, by)
    assert [each.outcome for each in judged.checks] == outcomes


async def test_after_the_first_no_nobody_else_is_asked():
    last = Says(VALID)
    await Examiner([Verifier("a", Says(INVALID), Match()), Verifier("b", last, Match())]).examine(
        request(), answered("small")
    )
    assert last.asked == 0


async def test_every_choice_is_looked_at_and_a_tool_call_is_not():
    kind = PatternCheck("42", "match", 1)
    attempt = answered("small")
    choices = [{"message": {"content": text}} for text in ("42", "41")]
    several = replace(attempt, answer=Answer({"choices": choices}))
    calls = replace(attempt, answer=Answer({"choices": [{"message": {"content": None, "tool_calls": [{}]}}]}))
    examiner = Examiner([Verifier("v", kind, Match(), replaces_judge=True)])
    assert (await examiner.examine(request(), several)).verdict is Verdict.INVALID
    (result,) = (await examiner.examine(request(), calls)).checks
    assert (result.outcome, "tool call" in result.reason) == (ABSTAINED, True)


async def test_reasons_are_short_and_of_one_line():
    said = await look(python("print('x y  ' * 500)"))
    assert len(said.reason) == MAX_REASON
    assert "\n" not in said.reason
