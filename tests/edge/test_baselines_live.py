"""The baselines answer live traffic where a request asks for them; a share that is none is a 400 naming the header."""

from __future__ import annotations

import pytest
from edge_server import EASY

HEADER = "x-gearbox-policy"


def ask(http, policy, model="llm-at"):
    body = {"model": model, "messages": [{"role": "user", "content": EASY}]}
    return http.post("/v1/chat/completions", json=body, headers={HEADER: policy} if policy else {})


@pytest.mark.parametrize(
    ("policy", "attempts"),
    [
        ("bottom-up", "small:valid"),
        ("agreement", "small:unjudged,medium:unjudged"),
        ("random:0", "small:unjudged"),
        ("random:1", "large:unjudged"),
    ],
)
def test_a_baseline_serves_the_request_that_names_it(http, policy, attempts):
    reply = ask(http, policy)
    assert reply.status_code == 200, reply.text
    assert reply.headers[HEADER] == policy
    assert reply.headers["x-gearbox-attempts"] == attempts


@pytest.mark.parametrize("share", ["lots", "2", "-1", "nan", ""])
def test_a_bad_share_is_a_400_that_says_what_would_be_right(http, share):
    reply = ask(http, f"random:{share}")
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, HEADER)
    assert "a share from 0 to 1" in error["message"]


def test_an_unknown_policy_names_the_baselines_too(http):
    message = ask(http, "nonsense").json()["error"]["message"]
    assert all(name in message for name in ("bottom-up", "agreement", "random:<share>", "always:small"))


def test_the_model_may_name_a_baseline_and_the_list_does_not_show_it(http):
    assert ask(http, None, model="agreement").headers[HEADER] == "agreement"
    listed = {entry["id"] for entry in http.get("/v1/models").json()["data"]}
    assert not {"agreement", "bottom-up"} & listed
