"""README.md and the files beside it are true: its names are the code's, its links lead somewhere.

Its blocks of code are run by tests/docs/test_blocks.py, with those of docs/.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from pages import blocks

from app.edge.headers import _ELSEWHERE, _READERS
from cascade.policies import registry
from cascade.simulated.faults import FAULTS, from_body

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SCRIPTS = [
    path
    for folder in ("scripts", ".ci")
    for path in sorted((ROOT / folder).iterdir())
    if path.suffix == "" and path.is_file()  # else Python's own folder beside them
]


def section(title):
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_set_up_is_two_commands():
    assert [block.text.strip() for block in blocks("README.md", "bash")][:2] == ["scripts/serve", "scripts/test"]


def test_every_request_header_is_told_and_no_other():
    told = set(re.findall(r"`((?:x-gearbox|idempotency|x-stainless)[a-z-]+[a-z])[`:]", section("Request headers")))
    assert told == {*_READERS, *_ELSEWHERE}


def test_every_fault_is_told_and_no_other():
    table = [line for line in section("Simulated tiers and faults on demand").split("\n") if line.startswith("| ")]
    assert set(re.findall(r"`([a-z_]+)`", "".join(table))) >= set(FAULTS)
    assert set(re.findall(r"`([a-z_]+)`", "".join(table))) <= {*FAULTS}


def test_the_faults_asked_for_are_ones_that_there_are():
    (body,) = (
        json.loads(shlex.split(block.text)[-1]) for block in blocks("README.md", "bash") if '"simulate"' in block.text
    )
    assert from_body(body["simulate"], "small").name == "rate_limit"
    assert from_body(body["simulate"], "medium").times == 1


def test_every_policy_is_told():
    told = set(re.findall(r"^\| `([^`]+)` \|", section("Configuration").split("### Policies")[1], re.MULTILINE))
    assert told == {*registry.names(), "always:<tier>"}


def test_every_link_leads_somewhere():
    for page in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", (ROOT / page).read_text()):
            there = ROOT / (target or page)
            assert there.exists(), f"{page}: {target}"
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE) if anchor else []
            assert not anchor or anchor in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]


def test_architecture_names_every_module_and_none_that_is_not():
    told = set(re.findall(r"^\| `([\w/]+\.py)` \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE))
    missing = {file for file in told if not (ROOT / file).exists()}
    assert missing == set()
    rooms = {str(Path(file).parent) for file in told}
    here = {str(path.relative_to(ROOT)) for room in rooms for path in (ROOT / room).glob("*.py")}
    assert rooms >= {"router", "cascade", "storage", "app"}
    assert {file for file in here if not file.endswith(("__init__.py", "__main__.py"))} - told == set()


def test_the_image_is_made_of_files_that_are_there():
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").split("\n")
    copied = [word for line in lines if line.startswith("COPY") and "--from" not in line for word in line.split()[1:-1]]
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    assert copied
    assert all((ROOT / word).exists() for word in copied)
    assert set(copied) == kept


def test_the_image_runs_without_rights_and_says_whether_it_is_well():
    text = (ROOT / "Dockerfile").read_text()
    assert text.index("USER gearbox") < text.index("\nCMD [")
    assert "HEALTHCHECK" in text
    (command,) = re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert json.loads(command)[:2] == ["gearbox", "serve"]


def test_compose_serves_the_image_on_loopback_only():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    service = compose["services"]["gearbox"]
    assert set(compose["services"]) == {"gearbox"}
    assert "--open-to-anyone" in service["command"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert [volume.partition(":")[0] for volume in service["volumes"]] == list(compose["volumes"])
    arguments = set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert set(service["build"]["args"]) == arguments


def plain(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def test_every_dependency_is_pinned_and_no_address_is_named():
    pins = [line for line in (ROOT / "constraints.txt").read_text().split("\n") if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==(\d+!)?[\w.]+(; .+)?", pin) for pin in pins)
    pinned = {plain(pin) for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {plain(need) for need in (*project["dependencies"], *chain(*project["optional-dependencies"].values()))}
    assert wanted
    assert wanted - pinned == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound_and_stops_at_the_first_fault(script):
    assert os.access(script, os.X_OK)
    assert re.search(r"^set -(e?)uo pipefail$", script.read_text(), re.MULTILINE)
    assert subprocess.run(["bash", "-n", script], check=False, capture_output=True).stderr == b""
