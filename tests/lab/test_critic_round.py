"""`gearbox skills profile --critic TIER` over a real connection: replies of every kind, a budget, and `kill -9`."""

import json
import os
import pty
import subprocess
import sys
import time

import pytest
from critic_upstream import CALL_USD, MANNERS, UNUSABLE, CriticUpstream, config_for
from lab_support import ROOT, SIMULATED
from loopback import Loopback

#: 14 questions, three models each: every manner meets six answers.
QUESTIONS, ANSWERS = 14, 42


@pytest.fixture
def critic():
    return CriticUpstream()


@pytest.fixture
def arguments(critic, tmp_path):
    """The command's arguments without a budget, while the critic is up."""
    with Loopback(critic.app) as server:
        config = tmp_path / "gearbox.yaml"
        config.write_text(config_for(server.url, tmp_path))
        yield [
            *("skills", "profile", str(SIMULATED), "--split", "train", "--critic", "critic"),
            *("--questions", str(QUESTIONS), "--out", str(tmp_path / "skills.json"), "--config", str(config)),
        ]


def journal(tmp_path):
    return tmp_path / "skills.json.journal.jsonl"


def found(tmp_path):
    """How many answers the journal holds a finding or a fault of."""
    lines = [json.loads(line) for line in journal(tmp_path).read_bytes().splitlines()]
    return sum("key" in line for line in lines)


def test_replies_are_mended_asked_for_once_more_or_left_out_with_their_count(gearbox, critic, arguments, tmp_path):
    code, _, err = gearbox(*arguments, "--budget", 1)
    assert code == 0, err
    assert f"{ANSWERS} answers, critic critic" in err
    assert f"{ANSWERS * len(UNUSABLE) // len(MANNERS)} replies of the critic were unusable and are left out" in err
    twice = [manner for manner in MANNERS if manner in UNUSABLE or "mended" in manner]
    assert {critic.manner(nonce): times for nonce, times in critic.asked.items()} == {
        manner: 1 + (manner in twice) for manner in MANNERS
    }
    profile = json.loads((tmp_path / "skills.json").read_text())
    assert profile["critic"] == "critic"
    assert not journal(tmp_path).exists(), "the profile is written: the journal has done its work"


def test_a_budget_stops_the_round_and_the_next_start_goes_on(gearbox, critic, arguments, tmp_path):
    budget = 20 * CALL_USD
    code, _, err = gearbox(*arguments, "--budget", budget)
    assert code == 1, err
    assert "the budget is spent; run the same command again" in err
    assert critic.paid_usd <= budget
    assert critic.asked.total() > 10, "open reservations come back, so the money is really used"
    first = dict(critic.asked)
    assert gearbox(*arguments, "--budget", budget)[0] == 1, "it is spent for good"
    assert dict(critic.asked) == first
    assert gearbox(*arguments, "--budget", 1)[0] == 0
    assert {nonce: critic.asked[nonce] for nonce in first} == first, "no call is paid for twice"
    assert len(critic.asked) == ANSWERS


def test_kill_nine_repeats_no_call_that_was_answered_and_counts_those_that_were_not(
    gearbox, critic, arguments, tmp_path
):
    critic.holds_at = 12
    primary, secondary = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments, "--budget", "1"],
        stdout=subprocess.DEVNULL,
        stderr=secondary,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
    ) as process:
        _until(lambda: critic.asked.total() >= 12 + 8 and found(tmp_path) >= 1, process)
        process.kill()
        process.wait()
    os.close(secondary)
    seen = b""
    while chunk := _read(primary):
        seen += chunk
    assert "━".encode() in seen, "on a terminal there is a bar"
    known, before = found(tmp_path), dict(critic.answered)
    critic.holds_at = None
    code, _, err = gearbox(*arguments, "--budget", 1)
    assert code == 0, err
    assert "━" not in err, "and none anywhere else"
    again = {nonce for nonce in before if critic.answered[nonce] > before[nonce]}
    assert len(again) <= len(before) - known, "what was found is not asked again"
    spent = float(err.partition("of which ")[2].split()[0])
    assert spent >= 12 * CALL_USD + 8 * 2 * CALL_USD, "a call without an answer counts at its worst case"


def _until(reached, process):
    end = time.monotonic() + 60
    while not _holds(reached):
        assert process.poll() is None, "the command ended early"
        assert time.monotonic() < end, "the critic was not asked"
        time.sleep(0.02)


def _holds(reached):
    try:
        return reached()
    except (FileNotFoundError, json.JSONDecodeError):  # not begun, or in the middle of a line
        return False


def _read(terminal):
    """What the terminal still holds; nothing once the other end is closed."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
