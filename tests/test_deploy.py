"""The deployment files are what Kubernetes and Compose accept, and agree with each other and with the configuration."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from app.config import file as config_file
from app.config.environment import Variables
from app.config.rules import Policies
from cascade.policies import registry
from router.catalog import Catalog
from storage.engine import POOL_MOST

DEPLOY = Path(__file__).parents[1] / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
#: Pods with a disk of their own, and without.
WORKLOADS = {"StatefulSet": MANIFESTS, "Deployment": sorted((DEPLOY / "kubernetes-deployment").glob("*.yaml"))}
ALL = [each for found in WORKLOADS.values() for each in found]
SECRETS = {
    "OPENAI_API_KEY": "sk-x",
    "GEARBOX_KEY": "sk-y",
    "GEARBOX_STORE_URL": "postgresql+asyncpg://gearbox:x@postgres/gearbox",
    "GEARBOX_REDIS_URL": "redis://redis:6379/0",
}


def documents(path):
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def objects(kind, manifests=MANIFESTS):
    return [each for path in manifests for each in documents(path) if each["kind"] == kind]


def loaded(text):
    policies = Policies(registry.names(), registry.validate)
    return config_file.read(
        text, "gearbox.yaml", Variables(SECRETS), Catalog.load(), policies, datetime.now(UTC).date()
    ).config


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.scale.yaml").read_text())


@pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_kubernetes_accepts_the_manifest(path):
    for each in documents(path):
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)


def test_every_kind_that_a_deployment_needs_is_there():
    kinds = {each["kind"] for path in MANIFESTS for each in documents(path)}
    assert {"StatefulSet", "HorizontalPodAutoscaler", "Secret", "ConfigMap", "Service", "PodDisruptionBudget"} <= kinds


def test_both_configurations_are_accepted_and_the_same():
    (kept,) = objects("ConfigMap")
    in_kubernetes, in_compose = loaded(kept["data"]["gearbox.yaml"]), loaded((DEPLOY / "gearbox.yaml").read_text())
    assert in_kubernetes == in_compose


def test_nobody_is_killed_before_its_answers_are_finished(compose):
    server = loaded((DEPLOY / "gearbox.yaml").read_text()).server
    needed = server.drain_s + server.shutdown_s + server.linger_s
    for kind, manifests in WORKLOADS.items():
        (pods,) = objects(kind, manifests)
        assert pods["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > needed
    for name in ("gearbox-1", "gearbox-2", "balancer"):
        assert int(compose["services"][name]["stop_grace_period"].removesuffix("s")) > needed


def test_readiness_is_asked_more_often_than_draining_lasts():
    server = loaded((DEPLOY / "gearbox.yaml").read_text()).server
    (pods,) = objects("StatefulSet")
    (container,) = pods["spec"]["template"]["spec"]["containers"]
    probe = container["readinessProbe"]
    assert probe["httpGet"]["path"] == "/health/ready"
    assert (probe["periodSeconds"] + probe["timeoutSeconds"]) * probe["failureThreshold"] < server.drain_s


def test_the_balancer_leaves_it_to_gearbox_to_refuse_what_is_too_large():
    server = loaded((DEPLOY / "gearbox.yaml").read_text()).server
    (passed,) = re.findall(r"max_size (\d+)MB", (DEPLOY / "Caddyfile").read_text())
    assert int(passed) * 10**6 > server.max_body_mb * 2**20


def test_postgresql_has_a_connection_for_all_that_its_workers_may_open(compose):
    workers = [int(compose["services"][name]["command"][-1]) for name in ("gearbox-1", "gearbox-2")]
    by_default, for_others = 100, 10
    assert sum(workers) * 2 * POOL_MOST <= by_default - for_others


def test_both_kinds_of_pods_differ_in_their_disk_alone():
    (kept,), (gone,) = (objects(kind, manifests) for kind, manifests in WORKLOADS.items())
    kept, gone = (each["spec"]["template"] for each in (kept, gone))
    disk = {"name": "data", "emptyDir": {"sizeLimit": "5Gi"}}
    assert gone["spec"]["volumes"] == [*kept["spec"]["volumes"], disk]
    assert {**gone["spec"], "volumes": None} == {**kept["spec"], "volumes": None}
    assert gone["metadata"] == kept["metadata"]


@pytest.mark.parametrize("kind", WORKLOADS)
def test_the_autoscaler_scales_the_pods_beside_it(kind):
    (scaler,) = objects("HorizontalPodAutoscaler", WORKLOADS[kind])
    assert scaler["spec"]["scaleTargetRef"]["kind"] == kind


def test_every_secret_that_the_configuration_reads_is_given(compose):
    (secret,) = objects("Secret")
    assert set(secret["stringData"]) == set(SECRETS)
    assert set(compose["services"]["gearbox-1"]["environment"]) == set(SECRETS)


def test_each_replica_has_a_journal_of_its_own(compose):
    homes = [compose["services"][name]["volumes"][-1] for name in ("gearbox-1", "gearbox-2")]
    assert homes == ["data-1:/data", "data-2:/data"]
    assert loaded((DEPLOY / "gearbox.yaml").read_text()).store.journal == "/data/journal"


def test_no_secret_stands_in_a_file():
    (secret,) = objects("Secret")
    assert [value for name, value in secret["stringData"].items() if not name.endswith("_URL")] == ["", ""]


@pytest.fixture(scope="module")
def observe():
    return yaml.safe_load((DEPLOY / "compose.observe.yaml").read_text())


def test_prometheus_scrapes_every_replica_and_reads_the_rules(compose, observe):
    told = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = told["scrape_configs"]
    targets = [target for each in job["static_configs"] for target in each["targets"]]
    assert targets == [f"{name}:8000" for name in compose["services"] if name.startswith("gearbox-")]
    assert all((DEPLOY / "prometheus" / file).exists() for file in told["rule_files"])
    assert "./prometheus:/etc/prometheus:ro" in observe["services"]["prometheus"]["volumes"]


def test_grafana_has_the_data_sources_that_the_dashboards_name(compose, observe):
    told = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/gearbox.yaml").read_text())["datasources"]
    there = {(each["type"], each["uid"]) for each in told}
    panels = [panel for file in DASHBOARDS for panel in json.loads(file.read_text())["panels"]]
    assert {(panel["datasource"]["type"], panel["datasource"]["uid"]) for panel in panels} == there
    hosts = {each["url"].removeprefix("http://").partition(":")[0] for each in told}
    assert hosts <= {*compose["services"], *observe["services"]}
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in observe["services"]["grafana"]["volumes"]


def test_grafana_reads_the_dashboards_from_where_they_are_mounted(observe):
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/gearbox.yaml").read_text())["providers"]
    assert provider["type"] == "file"
    assert f"./grafana:{provider['options']['path']}:ro" in observe["services"]["grafana"]["volumes"]
    assert len(DASHBOARDS) == 3


def test_what_observes_is_on_loopback_only_and_its_secrets_are_demanded(observe):
    services = observe["services"].values()
    assert all(port.startswith("127.0.0.1:") for each in services for port in each["ports"])
    secrets = [value for name, value in observe["services"]["grafana"]["environment"].items() if "PASSWORD" in name]
    assert len(secrets) == 2
    assert all(re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value) for value in secrets)
    sources = (DEPLOY / "grafana/provisioning/datasources/gearbox.yaml").read_text()
    assert re.findall(r"password: (.+)", sources) == ["$POSTGRES_PASSWORD"]
