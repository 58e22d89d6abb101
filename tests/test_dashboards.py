"""The committed dashboards and rules are what the code's own names make of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def test_dashboards_and_rules_are_up_to_date():
    command = [sys.executable, ROOT / "scripts" / "build_dashboards.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["cost", "routing", "service"])
def test_every_panel_asks_something(name):
    panels = json.loads((ROOT / f"deploy/grafana/{name}.json").read_text())["panels"]
    assert len(panels) >= 8
    assert all(panel["title"] and panel["targets"] for panel in panels)


def test_every_alert_has_a_runbook_line():
    (group,) = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"]
    assert all(rule["annotations"]["runbook"] and rule["for"] for rule in group["rules"])


def test_every_metric_is_on_a_panel():
    told = (ROOT / "docs/reference/metrics.md").read_text()
    rows = [line for line in told.splitlines() if line.startswith("| `gearbox_")]
    assert rows
    assert [row for row in rows if row.endswith("| none |")] == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("cost", ["by tier", "by purpose", "By key", "By team", "By tag", "Saved", "Cost per valid answer", "Judging"]),
        ("cost", ["Budgets: burnt", "Forecast"]),
        ("routing", ["Started at", "Answered by", "Shifts up", "Estimated P(valid)", "Accepted by the judge"]),
        ("routing", ["error against feedback", "false accept", "in the index", "Cold starts"]),
        ("service", ["Requests", "Latency", "Overhead", "first token", "Upstream errors", "not yet in the database"]),
        ("service", ["Cache and joins"]),
    ],
)
def test_what_people_ask_a_dashboard_for_is_there(name, wanted):
    titles = [panel["title"] for panel in json.loads((ROOT / f"deploy/grafana/{name}.json").read_text())["panels"]]
    assert [word for word in wanted if not any(word in title for title in titles)] == []
