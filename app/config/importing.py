"""`gearbox import`: files and the environment for those who translate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.config.environment import Environment
from app.config.file import file_text
from app.config.litellm.printed import gearbox_yaml
from router.catalog import Catalog

if TYPE_CHECKING:
    from pathlib import Path


def litellm_file(path: Path) -> str:
    """A LiteLLM `config.yaml` as the text of a `gearbox.yaml`.

    Raises:
        ConfigError: it cannot be read, or is wrong.
    """
    _, variables = Environment.read()
    return gearbox_yaml(file_text(path), path.name, variables, Catalog.load(), datetime.now(UTC).date())
