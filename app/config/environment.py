"""The one door to the environment: read once, at start, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Variables:
    """The environment's variables as they were at start; an empty one counts as unset. Never printed."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name: value for name, value in values.items() if value.strip()}

    def get(self, name: str) -> str | None:
        """A variable's value; None = unset or empty."""
        return self._values.get(name)

    def first(self, names: tuple[str, ...]) -> str | None:
        """The value of the first of these variables that is set."""
        return next((self._values[name] for name in names if name in self._values), None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        return f"Variables({len(self._values)} set, values hidden)"


#: Where prometheus_client keeps the counters of several processes; its own name, read by it when it is imported.
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def share_metrics(folder: Path) -> None:
    """Have the processes that are started from now on count into one folder."""
    os.environ[_METRICS_FOLDER] = str(folder)


class Environment(BaseSettings):
    """`GEARBOX_CONFIG` and its like; and, read with them, every variable for `os.environ/NAME`."""

    model_config = SettingsConfigDict(
        env_prefix="GEARBOX_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    config: Path | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    workers: Annotated[int, Field(ge=0, le=512)] = 0
    prometheus_folder: Path | None = Field(default=None, validation_alias=_METRICS_FOLDER)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
    #: Whether Ollama and vLLM on this machine are looked for, where no file names the tiers.
    look_around: bool = True

    @classmethod
    def read(cls) -> tuple[Environment, Variables]:
        """Read everything once.

        Raises:
            ConfigError: a `GEARBOX_` variable has a value that is not allowed.
        """
        try:
            return cls(), Variables(os.environ)
        except ValidationError as error:
            wrong = [f"GEARBOX_{str(found['loc'][0]).upper()}: {found['msg']}" for found in error.errors()]
            raise ConfigError("environment: " + "; ".join(wrong)) from error
