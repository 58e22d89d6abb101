"""What will be served: the configuration, the ladder and the policies, read and checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from app.config import embeddings, ladder
from app.config import file as config_file
from app.config.local_servers import local_servers
from app.config.rules import Policies
from app.config.settings import Config
from cascade.policies import registry
from router.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.config.builder import Ladder
    from app.config.environment import Environment, Variables
    from app.config.local_servers import LocalServer
    from cascade.policies.policy import Policy
    from router.endpoints import EmbeddingEndpoint, Kind

#: The adapters there are; vendors that need another one are passed over, with a note.
ADAPTERS: tuple[Kind, ...] = ("openai", "litellm")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before the first connection is opened."""

    config: Config
    ladder: Ladder
    environment: Environment
    embeddings: tuple[EmbeddingEndpoint, ...] = ()

    def policy(self, name: str) -> Policy:
        """A policy with its configured settings."""
        return registry.build(name, self.config.policy.settings().get(name, {}))


def read(
    option: Path | None,
    environment: Environment,
    variables: Variables,
    look_around: Callable[[], Sequence[LocalServer]] = local_servers,
) -> Plan:
    """Find and read the configuration, or do without one.

    Args:
        option: `--config`.
        environment: `GEARBOX_*`.
        variables: every variable, for keys.
        look_around: finds model servers on this machine, where no file names the tiers.

    Raises:
        ConfigError: file, line, key and cure.
    """
    catalog = Catalog.load()
    policies = Policies(registry.names(), registry.validate, registry.find_baseline)
    path = config_file.find(option, environment.config, Path.cwd())
    today = datetime.now(UTC).date()
    loaded = None if path is None else config_file.load(path, variables, catalog, policies, today)
    if loaded is not None and loaded.config.tiers:
        embedders = embeddings.from_config(loaded, variables, catalog)
        return Plan(loaded.config, ladder.from_config(loaded, variables, catalog), environment, embedders)
    config = Config() if loaded is None else loaded.config
    local = look_around() if environment.look_around else ()
    found = ladder.from_environment(variables, catalog, today, config.policy.default, ADAPTERS, local)
    named = embeddings.from_config(loaded, variables, catalog) if loaded is not None else ()
    return Plan(config, found, environment, named or embeddings.from_environment(variables, catalog))
