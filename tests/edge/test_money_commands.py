"""`gearbox savings` and `gearbox costs`: the sums that clients were told, by whom, on what, and in files."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from commands import gearbox_command
from edge_server import EASY
from test_keys_feedback_health import KEYS, client_of
from test_request_headers import HARD, HARDER, chat

from router.errors import ConfigError

ROOT = Path(__file__).parents[2]
NANO = Decimal(10) ** 9
FOCUS_VENV = Path(os.environ.get("FOCUS_VENV", ROOT / ".venv-focus"))


@pytest.fixture(scope="module")
def traffic(catalog, tmp_path_factory):
    """A server that has answered two teams: easily, after a shift up, with a fault, and not at all."""
    from edge_server import config, plan_of, serving  # noqa: PLC0415 - the plan is made for this one server

    database = tmp_path_factory.mktemp("money") / "gearbox.db"
    with serving(plan_of(config(keys=KEYS), database, catalog), database) as gearbox:
        with client_of(gearbox, "key-of-red") as red, client_of(gearbox, "key-of-blue") as blue:
            chat(red, {"x-gearbox-tags": "app==1+1,feature=faq"})
            chat(red, question=HARD)
            chat(blue, question=HARDER[1], simulate={"small": "server_error"})
            chat(blue, question=EASY, simulate=dict.fromkeys(("small", "medium", "large"), "server_error"))
            judged = chat(blue).headers["x-request-id"]
            blue.post("/v1/feedback", json={"id": judged, "valid": False})
        late = gearbox.sql("SELECT id FROM inference ORDER BY created_at LIMIT 1")[0]["id"]
        gearbox.sql("UPDATE inference SET late_cost_nanousd = 1234 WHERE id = ? RETURNING id", late)
        yield gearbox


def total(gearbox):
    (row,) = gearbox.sql("SELECT sum(cost_nanousd) + sum(late_cost_nanousd) AS n FROM inference")
    return row["n"]


def savings(gearbox, *options):
    return json.loads(gearbox_command(gearbox, "savings", "--json", *options))


@pytest.mark.parametrize("by", ["day", "key", "team", "tier", "policy"])
def test_the_lines_add_up_to_sql(traffic, by):
    told = savings(traffic, "--by", by)
    assert sum(line["spent_nanousd"] for line in told["lines"]) == told["total"]["spent_nanousd"] == total(traffic)


def test_what_a_team_spent_on_judging_today_is_one_command(traffic):
    told = savings(traffic, "--team", "red", "--since", "today")
    (row,) = traffic.sql(
        "SELECT sum(a.cost_nanousd) AS n FROM attempt a JOIN inference i ON i.id = a.inference_id"
        " WHERE i.team = 'red' AND a.purpose = 'judge'"
    )
    assert told["total"]["judge_nanousd"] == row["n"] > 0
    assert "judging" in gearbox_command(traffic, "savings", "--team", "red", "--since", "today")


def test_no_amount_is_cut_short_on_a_narrow_terminal(traffic, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert "…" not in gearbox_command(traffic, "savings", "--team", "red", "--since", "today")


def test_nothing_was_spent_yesterday(traffic):
    assert savings(traffic, "--since", "yesterday")["lines"] == []
    assert "No request" in gearbox_command(traffic, "savings", "--since", "yesterday")


def test_the_judge_is_weighed_in_words(traffic):
    told = gearbox_command(traffic, "savings", "--judge")
    assert "worth its money" in told
    assert "1 false accepts" in told
    (small, *_) = [tier for tier in savings(traffic)["judge"] if tier["tier"] == "small"]
    assert (small["known"], small["false_accepts"], small["error"]) == (1, 1, 1.0)


@pytest.mark.parametrize("options", [["--since", "soon"], ["--since", "today", "--until", "yesterday"]], ids=str)
def test_a_span_that_is_none_is_refused(traffic, options):
    with pytest.raises(AssertionError, match="ConfigError"):
        gearbox_command(traffic, "savings", *options)
    assert issubclass(ConfigError, Exception)


def test_csv_has_a_line_per_request_and_runs_no_formula(traffic):
    rows = list(csv.DictReader(io.StringIO(gearbox_command(traffic, "costs", "csv"))))
    assert sum(int(row["cost_nanousd"]) + int(row["late_cost_nanousd"]) for row in rows) == total(traffic)
    assert sum(Decimal(row["cost_usd"]) + Decimal(row["late_cost_usd"]) for row in rows) * NANO == total(traffic)
    assert not any(value.startswith(("=", "+", "@")) for row in rows for value in row.values())


def test_json_lines_hold_each_requests_calls(traffic):
    rows = [json.loads(line) for line in gearbox_command(traffic, "costs", "jsonl").splitlines()]
    assert sum(row["cost_nanousd"] + row["late_cost_nanousd"] for row in rows) == total(traffic)
    assert all(sum(call["cost_nanousd"] for call in row["calls"]) == row["cost_nanousd"] for row in rows)


def test_a_focus_files_sum_is_sqls_late_costs_included(traffic):
    rows = list(csv.DictReader(io.StringIO(gearbox_command(traffic, "costs", "focus"))))
    assert sum(Decimal(row["BilledCost"]) for row in rows) * NANO == total(traffic)
    assert [row["BilledCost"] for row in rows if row["x_Purpose"] == "late"] == ["0.000001234"]


@pytest.mark.skipif(
    not (FOCUS_VENV / "bin" / "focus-validator").exists() and "CI" not in os.environ,
    reason="focus-validator is not installed: scripts/check-focus FILE installs it",
)
def test_focus_validator_accepts_the_file(traffic, tmp_path):
    file = tmp_path / "focus.csv"
    gearbox_command(traffic, "costs", "focus", "--out", str(file))
    environment = {**os.environ, "FOCUS_VENV": str(FOCUS_VENV)}
    done = subprocess.run(
        [ROOT / "scripts" / "check-focus", file], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_export_tells_what_was_asked(traffic):
    for form in ("csv", "jsonl", "focus"):
        assert EASY not in gearbox_command(traffic, "costs", form)
