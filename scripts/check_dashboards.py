"""Every query of every panel and rule, asked of a real Prometheus and a real PostgreSQL, with traffic.

An error or an empty answer fails. Run by scripts/check-dashboards.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("edge", "storage")]

from alert_rules import RULES  # noqa: E402 - the paths come first
from dashboard_panels import DASHBOARDS  # noqa: E402 - the paths come first
from edge_server import EASY, config, plan_of, serving  # noqa: E402
from postgres_server import running_postgres  # noqa: E402
from pydantic import SecretStr  # noqa: E402

from app.config.settings import StoreConfig  # noqa: E402
from app.observe.logs import configure  # noqa: E402
from cascade.simulated.problems import problems  # noqa: E402
from router.catalog import Catalog  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

TRAFFIC_S = 25.0
_TIERS = ("small", "medium", "large")
_KEY = "a-key-with-budgets"
#: Budgets, a check of the operator's and a cache, so that their panels have something to show.
SERVED = {
    "keys": [{"key": _KEY, "team": "search", "budgets": [{"per": "month", "usd": 50, "soft_usd": 0.0001}]}],
    "budgets": [{"team": "search", "per": "day", "usd": 20}],
    "verifiers": [{"name": "says-something", "kind": "regex", "pattern": "answer"}],
    "cache": {"ttl_s": 60},
}


def drive(url: str, until: float) -> int:
    """Requests with every path in them: easy, shifted up, failed, capped, streamed, told right and wrong."""
    questions = [problem.question for problem in problems(3, 40)]
    sent = 0
    with httpx.Client(base_url=url, timeout=30, headers={"authorization": f"Bearer {_KEY}"}) as http:
        while time.monotonic() < until:
            question = questions[sent % len(questions)] if sent % 3 else EASY
            body: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": question}]}
            headers = {"x-gearbox-tags": f"app={('search', 'chat')[sent % 2]}"}
            match sent % 10:
                case 1:
                    body["stream"] = True
                case 2:
                    body["simulate"] = dict.fromkeys(_TIERS, "bad_request")
                case 4:
                    headers["x-gearbox-budget-usd"] = "0.0003"
                case 5:
                    headers["x-gearbox-stream"] = "optimistic"
                case 8:
                    _join(http, body)
                case 6:
                    body["simulate"] = {"small": "server_error"}
            reply = http.post("/v1/chat/completions", json=body, headers=headers)
            http.post("/v1/feedback", json={"id": reply.headers["x-request-id"], "valid": sent % 4 != 0})
            sent += 1
            time.sleep(0.02)
    return sent


def _join(http: httpx.Client, body: dict[str, Any]) -> None:
    """A request that the response cache answers, and one that joins another."""
    for header in ({"idempotency-key": f"{time.monotonic()}"}, {}):
        for _ in range(2):
            http.post("/v1/chat/completions", json={**body, "temperature": 0}, headers=header)


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[str]:
    """A Prometheus that scrapes the target every second; yields its address."""
    binary = shutil.which("prometheus")
    if binary is None:
        raise SystemExit("check-dashboards: no prometheus here; Debian: apt-get install prometheus")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shutil.copy(ROOT / "deploy/prometheus/rules.yml", folder / "rules.yml")
    scrape = {"job_name": "gearbox", "static_configs": [{"targets": [target]}]}
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [scrape],
        "rule_files": ["rules.yml"],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    command = [binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    process = subprocess.Popen(  # noqa: S603 - our own arguments
        [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def asked(url: str, expression: str) -> str:
    """What is wrong with a PromQL answer; "" = it has data."""
    for name, value in (("$__rate_interval", "20s"), ("$__range", "1m")):
        expression = expression.replace(name, value)
    told = httpx.get(f"{url}/api/v1/query", params={"query": expression}, timeout=20).json()
    if told["status"] != "success":
        return str(told["error"])
    numbers = [float(series["value"][1]) for series in told["data"]["result"]]
    if not numbers:
        return "empty"
    return "" if any(math.isfinite(number) for number in numbers) else "not a number"


async def sql_asked(url: str, statement: str) -> str:
    """What is wrong with an SQL answer."""
    connection = await asyncpg.connect(url)
    try:
        column = statement.partition("$__timeFilter(")[2].partition(")")[0]
        rows = await connection.fetch(
            statement.replace(f"$__timeFilter({column})", f"{column} > now() - interval '1 day'")
        )
    except asyncpg.PostgresError as error:
        return str(error)
    finally:
        await connection.close()
    return "" if rows else "empty"


def check(metrics: str, database: str) -> list[str]:
    """Every query; what is wrong."""
    found = []
    for name, (_, panels) in DASHBOARDS.items():
        for panel in panels:
            for query, _ in panel.queries:
                found.append((f"{name}: {panel.title}", asked(metrics, query)))
            if panel.sql:
                found.append((f"{name}: {panel.title}", asyncio.run(sql_asked(database, panel.sql))))
    found += [(f"rule {rule.name}", asked(metrics, rule.expression)) for rule in RULES]
    rules = httpx.get(f"{metrics}/api/v1/rules", timeout=20).json()["data"]["groups"][0]["rules"]
    found += [(f"rule {rule['name']}", rule.get("lastError", "")) for rule in rules]
    print(f"{len(found)} queries asked")
    if asked(metrics, "gearbox_no_such_metric") != "empty" or not asked(metrics, "sum("):
        found.append(("this script", "it does not notice an empty or broken query"))
    return [f"{place}: {wrong}" for place, wrong in found if wrong]


def main() -> int:
    """Start everything, drive traffic, ask."""
    configure("error", "console")
    with tempfile.TemporaryDirectory() as scratch, running_postgres() as postgres:
        folder = Path(scratch)
        postgres.run("createdb", "gearbox")
        plan = plan_of(config(**SERVED), folder / "unused.db", Catalog.load())
        store = StoreConfig(url=SecretStr(f"postgresql+asyncpg://postgres@/gearbox?host={postgres.socket_dir}"))
        plan = type(plan)(plan.config.model_copy(update={"store": store}), plan.ladder, plan.environment)
        with (
            serving(plan, folder / "unused.db") as gearbox,
            prometheus(gearbox.url.removeprefix("http://"), folder) as url,
        ):
            print(f"{drive(gearbox.url, time.monotonic() + TRAFFIC_S)} requests sent")
            time.sleep(3)
            wrong = check(url, f"postgresql://postgres@/gearbox?host={postgres.socket_dir}")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
