"""`gearbox tune`: found on one part, reported on another, ready to paste."""

import pytest
import yaml
from lab_support import SIMULATED

from app.config.environment import Variables
from app.config.file import read
from app.config.rules import Policies
from cascade.lab import spaces
from cascade.lab.stream import stream
from cascade.lab.tuning import parts
from cascade.policies import registry
from cascade.recordings import load
from router.catalog import Catalog
from router.errors import ConfigError

TUNE = ("tune", SIMULATED, "--policy", "llm-at", "--tries", 8, "--json")


def test_a_target_is_met_where_it_was_fitted_and_reported_elsewhere(told):
    found = told(*TUNE, "--target-accuracy", "0.88")
    assert (found["fit"]["part"], found["report"]["part"]) == ("split train", "split test")
    assert found["fit"]["met"]
    assert found["fit"]["accuracy"] >= 0.88
    assert found["report"]["settings"] == found["fit"]["settings"]
    assert found["tried"] <= 10


def test_a_budget_is_kept_where_it_was_fitted(told):
    found = told(*TUNE, "--budget", "0.45")
    assert found["fit"]["met"]
    assert found["fit"]["cost_usd"] * 1000 / sum(found["fit"]["starts"].values()) <= 0.45


def test_the_same_seed_finds_the_same(told):
    assert told(*TUNE, "--target-accuracy", "0.9") == told(*TUNE, "--target-accuracy", "0.9")


def test_the_lines_are_a_configuration(told):
    found = told(*TUNE, "--target-accuracy", "0.9", "--set", "llm-at.none_reaches=top")
    lines = yaml.safe_load(found["config"])
    assert lines["policy"]["llm-at"]["none_reaches"] == "top"
    policies = Policies(registry.names(), registry.validate)
    loaded = read(found["config"], "gearbox.yaml", Variables({}), Catalog.load(), policies, None)
    assert loaded.config.policy.settings()["llm-at"] == found["settings"]


def test_people_get_the_lines_to_paste(gearbox):
    code, out, _ = gearbox(*TUNE[:-1], "--target-accuracy", "0.999")
    assert code == 0
    assert "policy:\n  default: llm-at" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either --target-accuracy"),
        (["--target-accuracy", "0.9", "--budget", "1"], "either --target-accuracy"),
        (["--target-accuracy", "90"], "from 0 to 1"),
        (["--budget", "0"], "more than 0"),
        (["--budget", "1", "--fit", "train", "--report", "train"], "both name 'train'"),
        (["--budget", "1", "--fit", "nope", "--report", "test"], "no queries in a split 'nope'"),
        (["--budget", "1", "--set", "two-tier.threshold=1"], "only llm-at is tuned"),
    ],
)
def test_a_bad_wish_is_one_line(gearbox, arguments, words):
    code, out, err = gearbox(*TUNE, *arguments)
    assert (code, out) == (2, "")
    assert words in err.replace("\n", " ")


def test_a_policy_without_numbers_cannot_be_tuned(gearbox):
    code, _, err = gearbox("tune", SIMULATED, "--policy", "agreement", "--budget", "1")
    assert code == 2
    assert "no numbers to tune" in err.replace("\n", " ")


def test_without_splits_the_halves_are_taken_in_order():
    whole = stream(load(SIMULATED), split="train")
    one, two = parts(whole)
    assert (*one.queries, *two.queries) == whole.queries
    assert abs(len(one.queries) - len(two.queries)) <= 1
    with pytest.raises(ConfigError, match="cannot be divided"):
        parts(stream(load(SIMULATED), split="train", limit=1))


def test_candidates_stay_in_their_ranges():
    space = spaces.space_of("llm-at")
    made = [*spaces.wide(space, 50, 1), *spaces.near(space, {"threshold": 0.98, "k": 3}, 50, 1)]
    for candidate in made:
        for name, value in candidate.items():
            assert space[name].low <= value <= space[name].high
        registry.build("llm-at", candidate)


def test_thresholds_on_confidence_are_drawn_from_those_seen():
    space = spaces.space_of("two-tier", [0.5, 0.99, 0.999, 0.9999])
    assert {candidate["threshold"] for candidate in spaces.wide(space, 20, 1)} == {0.5, 0.99, 0.999, 0.9999}
