"""`gearbox skills`, from traffic to live decisions over simulated tiers: no key, and the critic is really asked."""

import json
from contextlib import nullcontext

import httpx
import pytest
import yaml
from lab_support import FakeEmbedder

from app.config import plan as plans
from app.config.environment import Environment, Variables
from app.main import create_app
from app.wiring import open_services


@pytest.fixture(scope="module")
def profile_path(tmp_path_factory):
    return tmp_path_factory.mktemp("skills") / "skills.json"


@pytest.fixture
def profiled(gearbox, traffic, profile_path):
    code, out, err = gearbox(
        "skills", "profile", "store", "--critic", "large", "--out", profile_path, "--config", traffic
    )
    assert code == 0, err
    return out, err


def test_traffic_becomes_a_profile_that_show_prints(gearbox, profiled, profile_path):
    out, err = profiled
    assert "unusable" not in err
    assert "simulated/small" in out
    code, shown, _ = gearbox("skills", "show", profile_path, "--json")
    told = json.loads(shown)
    assert code == 0
    assert told["critic"] == "large"
    assert told["questions"]
    assert all(required > 0 for model in told["models"].values() for _, required in model["counts"].values())


async def test_live_decisions_follow_the_profile_and_say_why(profiled, traffic, profile_path, tmp_path):
    settings = yaml.safe_load(traffic.read_text())
    settings["policy"] = {"skills": {"profile": str(profile_path)}}
    settings["store"]["url"] = f"sqlite+aiosqlite:///{tmp_path}/gearbox.db"
    config = tmp_path / "gearbox.yaml"
    config.write_text(yaml.safe_dump(settings))
    plan = plans.read(config, Environment(), Variables({}))
    async with open_services(plan, embedder=FakeEmbedder()) as services:
        app = create_app(lambda: nullcontext(services))
        app.state.services = services
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gearbox") as http:
            body = {"model": "skills", "messages": [{"role": "user", "content": "What is 412 * 29?"}]}
            reply = (await http.post("/v1/chat/completions", json=body)).raise_for_status().json()["gearbox"]
            decision = (await http.get(f"/v1/decisions/{reply['id']}")).json()
    assert "the question needs" in reply["why"]
    assert decision["evidence"]["skills"]["needs"]
    assert "ΔC against" in decision["attempts"][0]["why"]
