"""docs/reference/ is what the code says, and names each thing that a user can meet."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest
from pages import ROOT

from app.edge import admin_routes, api, dashboard, more_routes, reports

REFERENCE = ROOT / "docs" / "reference"


def test_the_made_pages_are_up_to_date():
    command = [sys.executable, ROOT / "scripts" / "reference.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_not_explained_is_refused(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from reference_words import complete  # noqa: PLC0415 - the path comes first

    with pytest.raises(SystemExit, match="nothing is said of new"):
        complete("tiers", ["name", "new"], {"name": "…"})
    with pytest.raises(SystemExit, match="there is no old"):
        complete("tiers", ["name"], {"name": "…", "old": "…"})


def test_every_route_is_told_and_no_other():
    told = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`]*)`", (REFERENCE / "http.md").read_text()))
    routers = (api.router, more_routes.router, admin_routes.router, dashboard.router)
    routes = {
        f"{method} {route.path.replace(':path', '')}"
        for router in routers
        for route in router.routes
        for method in route.methods - {"HEAD"}
    }
    assert told == routes


def test_every_response_header_is_told():
    told = (ROOT / "README.md").read_text().split("## Response headers")[1].split("\n## ")[0]
    for name in re.findall(r'^        "([a-z-]+)": ', inspect.getsource(reports.facts), re.MULTILINE):
        assert f"-{name}`" in told, name
