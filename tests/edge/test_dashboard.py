"""The dashboard: behind the API's keys, scoped to the caller's team, text stays text; in a real browser, too."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import browser
import pytest
from test_keys_feedback_health import KEYS, client_of
from test_request_errors import error_of
from test_request_headers import HARD, HARDER, chat

from app.edge.dashboard import HEADERS

ROOT = Path(__file__).parents[2]
EVIL = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
#: Where the pictures of the documentation go; without it none are taken.
PICTURES = os.environ.get("GEARBOX_PICTURES")
in_browser = pytest.mark.skipif(
    browser.binary() is None and "CI" not in os.environ, reason="no chromium here: scripts/install-chromium"
)


@pytest.fixture
def keyed(serve):
    gearbox = serve(keys=KEYS)
    with client_of(gearbox, "key-of-red") as red, client_of(gearbox, "key-of-blue") as blue:
        chat(red, {"x-gearbox-tags": "app=search"}, EVIL + " What is 17 + 25?", model="gpt-4o")
        for question in HARDER:
            chat(red, question=question)
        for number in range(6):
            chat(red, question=f"What is {number} + {number + 2}?", model="gpt-4o")
        chat(red, question=HARD, simulate={"small": "server_error"})
        chat(red, simulate=dict.fromkeys(("small", "medium", "large"), "server_error"))
        chat(blue)
    return gearbox


DATA = ("/v1/dashboard/summary", "/v1/dashboard/requests")


@pytest.mark.parametrize("path", DATA)
def test_without_a_key_there_is_no_data(keyed, path):
    with client_of(keyed, "") as http:
        assert error_of(http.get(path))["code"] == "invalid_api_key"


def test_each_team_sees_its_own_and_an_admin_all(keyed):
    seen = {}
    for key in ("red", "blue", "admin"):
        with client_of(keyed, f"key-of-{key}") as http:
            told = http.get("/v1/dashboard/summary").json()
            rows = http.get("/v1/dashboard/requests?limit=200").json()["data"]
            assert told["total"]["requests"] == len(rows)
            seen[key] = {row["team"] for row in rows}, told["total"]["spent_nanousd"]
    assert [teams for teams, _ in seen.values()] == [{"red"}, {"blue"}, {"red", "blue"}]
    assert seen["admin"][1] == seen["red"][1] + seen["blue"][1] > 0


def test_the_sums_are_sqls(keyed):
    with client_of(keyed, "key-of-admin") as http:
        told = http.get("/v1/dashboard/summary?since=7d").json()
        rows = http.get("/v1/dashboard/requests?since=7d").json()["data"]
    (sql,) = keyed.sql("SELECT sum(cost_nanousd) AS cost, sum(baseline_nanousd) AS top FROM inference")
    assert (told["total"]["cost_nanousd"], told["total"]["always_top_nanousd"]) == (sql["cost"], sql["top"])
    assert sum(line["spent_nanousd"] for line in told["times"]) == sql["cost"]
    assert round(sum(row["cost_usd"] for row in rows) * 1e9) == sql["cost"]
    assert [row["created_at"] for row in rows] == sorted((row["created_at"] for row in rows), reverse=True)


@pytest.mark.parametrize("query", ["since=soon", "limit=0", "limit=201", "limit=x", "limit=9999999999999999999"])
def test_a_wrong_parameter_is_a_400_that_names_it(keyed, query):
    with client_of(keyed, "key-of-red") as http:
        reply = http.get(f"/v1/dashboard/requests?{query}")
    assert (reply.status_code, error_of(reply)["param"]) == (400, query.partition("=")[0])


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/dashboard.js", "/dashboard/dashboard.css"])
def test_the_page_lets_nothing_foreign_in_and_needs_nothing_foreign(http, path):
    reply = http.get(path)
    assert reply.status_code == 200
    assert {name: reply.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in reply.headers["content-security-policy"]
    words = reply.text.replace("http://www.w3.org/2000/svg", "")
    assert "://" not in words
    assert not any(
        way in words for way in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", " onclick")
    )


@pytest.mark.parametrize("name", ["x", "..%2fcli.py", "%2e%2e/cli.py", "__init__.py"])
def test_nothing_else_is_served(http, name):
    assert http.get(f"/dashboard/{name}").status_code == 404


async def picture(tab, name):
    if PICTURES:
        await tab.screenshot(Path(PICTURES) / f"{name}.png")


@in_browser
async def test_a_key_opens_the_page_and_a_click_tells_the_whole_story(keyed, tmp_path):
    async with browser.page(tmp_path / "profile") as tab:
        await tab.open(f"{keyed.url}/dashboard")
        await tab.until("!$('gate').hidden")
        assert await tab.run("$('main').hidden")
        await tab.run("$('key').value = 'wrong', $('key-form').requestSubmit()")
        await tab.until("$('wrong').textContent")
        refused = [text for text in tab.complaints if "401" not in text]
        tab.complaints.clear()
        await tab.run("$('key').value = 'key-of-red', $('key-form').requestSubmit()")
        await tab.until("$('rows').children.length === 14")
        assert await tab.run("sessionStorage.getItem('gearbox-key')") == "key-of-red"
        assert await tab.run("$('scope').textContent") == "team red"
        assert (await tab.run("$('spent').textContent")).startswith("$")
        assert await tab.run("document.querySelectorAll('#chart rect').length") == 2
        assert await tab.run("document.querySelectorAll('#tiers .tier').length") == 4
        await picture(tab, "dashboard-light")
        await tab.run("[...$('rows').children].at(-1).click()")
        await tab.until("$('story').open")
        assert EVIL in await tab.run("$('story-body').textContent")
        assert "It cost" in await tab.run("document.querySelector('.rationale').textContent")
        assert await tab.run("document.querySelectorAll('main img, dialog img, body script').length") == 0
        assert await tab.run("document.title") == "Gearbox"
        assert [*refused, *tab.complaints] == []


@in_browser
async def test_it_is_dark_where_the_reader_likes_it_dark_and_fits_a_phone(keyed, tmp_path):
    async with browser.page(tmp_path / "profile") as tab:
        await tab.open(f"{keyed.url}/dashboard", dark=True)
        await tab.run("sessionStorage.setItem('gearbox-key', 'key-of-admin')")
        await tab.open(f"{keyed.url}/dashboard?again", dark=True)
        await tab.until("$('rows') && $('rows').children.length")
        assert await tab.run("$('scope').textContent") == "all teams"
        assert await tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 22)"
        shifted = "row.textContent.includes('✕→medium ✓')"
        await tab.run(f"[...$('rows').children].find((row) => {shifted}).click()")
        await tab.until("$('story').open")
        await picture(tab, "dashboard-story-dark")
        await tab.run("$('close').click()")
        await tab.send("Emulation.setDeviceMetricsOverride", width=400, height=900, deviceScaleFactor=1, mobile=True)
        assert await tab.run("document.documentElement.scrollWidth") <= 400


@in_browser
async def test_new_requests_appear_by_themselves(serve, tmp_path):
    gearbox = serve()
    async with browser.page(tmp_path / "profile") as tab:
        await tab.open(f"{gearbox.url}/dashboard")
        await tab.until("!$('empty').hidden")
        with client_of(gearbox, "") as http:
            await asyncio.to_thread(chat, http)
        await tab.until("$('rows').children.length === 1")
        assert tab.complaints == []
