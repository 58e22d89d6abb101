"""A setting that names a tier is checked against the tiers there are."""

from datetime import date

import pytest

from app.config import file as config_file
from app.config.environment import Variables
from app.config.rules import Policies
from cascade.policies import registry
from router.catalog import Catalog
from router.errors import ConfigError

TEXT = """\
tiers:
  - {name: small, deployments: [{model: simulated/small}]}
  - {name: large, deployments: [{model: simulated/large}]}
policy:
  two-tier:
    small: smal
"""


def read(text):
    policies = Policies(registry.names(), registry.validate)
    return config_file.read(text, "gearbox.yaml", Variables({}), Catalog.load(), policies, date(2026, 11, 27))


def test_a_tier_that_is_not_there_is_an_error_with_its_line():
    with pytest.raises(ConfigError, match=r'gearbox\.yaml:6: .*"smal" is no tier; did you mean "small"\?'):
        read(TEXT)


def test_one_that_is_there_is_not():
    assert read(TEXT.replace("smal\n", "small\n")).config.policy.settings()["two-tier"] == {"small": "small"}
