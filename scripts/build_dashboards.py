"""deploy/grafana/*.json of dashboard_panels.py, deploy/prometheus/rules.yml of alert_rules.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from alert_rules import RULES
from dashboard_panels import DASHBOARDS, Panel
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

ROOT = Path(__file__).parents[1]
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
SQL = {"type": "grafana-postgresql-datasource", "uid": "postgresql"}
_BUILDERS = {"timeseries": timeseries.Panel, "stat": stat.Panel, "table": table.Panel}


def _panel(panel: Panel) -> Any:
    built = _BUILDERS[panel.kind]().title(panel.title).unit(panel.unit).span(panel.width).height(8)
    if panel.queries:
        built = built.datasource(PROMETHEUS)
    for place, (query, legend) in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(chr(ord("A") + place))
        built = built.with_target(target.instant() if panel.kind == "stat" else target.range())
    return built


def _dashboard(name: str, title: str, panels: tuple[Panel, ...]) -> str:
    built = dashboard.Dashboard(title).uid(f"gearbox-{name}").tags(["gearbox"]).refresh("30s").time("now-6h", "now")
    for panel in panels:
        built = built.with_panel(_panel(panel))
    told = json.loads(JSONEncoder(sort_keys=True, indent=2).encode(built.build()))
    # The SDK has no PostgreSQL query of its own.
    for made, panel in zip(told["panels"], panels, strict=True):
        if panel.sql:
            made["datasource"] = SQL
            query = {"rawSql": panel.sql, "rawQuery": True, "editorMode": "code", "format": "table"}
            made["targets"] = [{"refId": "A", "datasource": SQL, **query}]
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def _rules() -> str:
    rules = [
        {
            "alert": rule.name,
            "expr": f"{rule.expression} {rule.compare}",
            "for": rule.hold,
            "labels": {"severity": rule.severity},
            "annotations": {"summary": rule.summary, "runbook": rule.runbook},
        }
        for rule in RULES
    ]
    head = "# Made by scripts/build-dashboards out of scripts/alert_rules.py; do not edit.\n"
    return head + yaml.safe_dump({"groups": [{"name": "gearbox", "rules": rules}]}, sort_keys=False, width=110)


def files() -> dict[Path, str]:
    """Every file and what belongs in it."""
    made = {ROOT / f"deploy/grafana/{name}.json": _dashboard(name, *told) for name, told in DASHBOARDS.items()}
    return {**made, ROOT / "deploy/prometheus/rules.yml": _rules()}


def main() -> int:
    """Write them; with --check, only say which differ."""
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the code says: run scripts/build-dashboards")
        return 1 if stale else 0
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
