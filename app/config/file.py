"""`gearbox.yaml` or a LiteLLM `config.yaml` -> one checked `Config`, or an error that says file, line, key and cure.

The law of this file: it reads the file once; everything that is wrong is told at once. The shapes are `settings.py`,
what is said where one is missed `mistakes.py`, the rules between keys `rules.py`; prices and vendors are the ladder's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from app.config import lines as config_lines
from app.config.litellm import translation
from app.config.mistakes import did_you_mean, mistakes
from app.config.rules import faults
from app.config.settings import Config
from router.errors import ConfigError

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable
    from datetime import date

    from app.config.environment import Variables
    from app.config.lines import Document, Path
    from app.config.rules import Policies
    from router.catalog import Catalog

_ENVIRON = "os.environ/"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked configuration, the document it came from (for line numbers), and what the operator should know."""

    config: Config
    document: Document
    notes: tuple[str, ...] = field(default=())


def find(option: pathlib.Path | None, environment: pathlib.Path | None, folder: pathlib.Path) -> pathlib.Path | None:
    """The file to read: `--config`, else GEARBOX_CONFIG, else `gearbox.yaml` in the folder, else none."""
    named = option or environment
    if named is not None:
        return named
    usual = folder / "gearbox.yaml"
    return usual if usual.is_file() else None


def load(path: pathlib.Path, variables: Variables, catalog: Catalog, policies: Policies, today: date) -> Loaded:
    """Read and check a file.

    Raises:
        ConfigError: everything that is wrong with it, one line each.
    """
    return read(file_text(path), path.name, variables, catalog, policies, today)


def read(text: str, name: str, variables: Variables, catalog: Catalog, policies: Policies, today: date) -> Loaded:
    """As `load`, from text."""
    document, notes = config_lines.parse(text, name), tuple[str, ...]()
    if translation.is_litellm(document.data):
        document, notes = translation.translate(document, variables, catalog, today)
    document = _with_environment(document, variables)
    config = _config(document)
    _raise(document, faults(config, policies))
    return Loaded(config, document, notes)


def file_text(path: pathlib.Path) -> str:
    """A file as text.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); check the name given by --config or GEARBOX_CONFIG"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


# os.environ/NAME


def _with_environment(document: Document, variables: Variables) -> Document:
    """The document with each `os.environ/NAME` replaced by that variable's value."""
    missing: list[tuple[Path, str]] = []

    def fill(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: fill(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, (*path, place)) for place, item in enumerate(value)]
        if not isinstance(value, str) or not value.startswith(_ENVIRON):
            return value
        name = value.removeprefix(_ENVIRON)
        found = variables.get(name)
        if found is None:
            near = did_you_mean(name, variables)
            missing.append(
                (path, f"the environment variable {name} is not set{near} Export it, or write the value here")
            )
        return found or ""

    filled = fill(document.data, ())
    _raise(document, missing)
    return replace(document, data=filled)


# shapes and rules


def _config(document: Document) -> Config:
    """The document in its shape; strict, so that a text is never taken for a number."""
    try:
        return Config.model_validate_json(json.dumps(document.data, default=str))
    except ValidationError as error:
        _raise(document, mistakes(error, document.data))
        raise


def _raise(document: Document, faults: Iterable[tuple[Path, str]]) -> None:
    """Everything that is wrong, in the order of the file; nothing where there is nothing."""
    ordered = sorted(faults, key=lambda fault: document.line(fault[0]))
    found = dict.fromkeys(document.say(path, message) for path, message in ordered)
    if found:
        raise ConfigError("\n".join(found))
