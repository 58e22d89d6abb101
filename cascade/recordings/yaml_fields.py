"""YAML mappings with the line of each key, so that an error about a value can say where it stands.

The law of this file: it knows YAML, nothing of recordings. Duplicate keys, which YAML forbids and PyYAML accepts, are
errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from cascade.recordings.fields import Fields, Place
from router.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


class LinedDict(dict[str, Any]):
    """A mapping that remembers the line of each of its keys."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


def read_yaml(path: Path) -> Fields:
    """The file's top mapping.

    Raises:
        ConfigError: no such file, bad UTF-8, bad YAML, a key twice, a key that is no text, or no mapping at the top.
    """
    value = _load(_text(path), path)
    if not isinstance(value, LinedDict):
        raise Place(path, 1).fault("the file is empty or no mapping; it must hold `key: value` lines")
    return Fields(value, Place(path, value.line), value.lines)


def inner(fields: Fields, key: str) -> Fields:
    """A mapping inside a mapping, not empty."""
    value = fields.values.get(key)
    if not isinstance(value, LinedDict) or not value:
        raise fields.fault(key, "a mapping that is not empty")
    return Fields(value, fields.at(key), value.lines)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}, line 1: there is no such file; every recording has one") from None
    except OSError as error:
        raise Place(path, 1).fault(f"the file cannot be read ({error.strerror or error})") from error
    try:
        return data.decode()
    except UnicodeDecodeError as bad:
        raise Place(path, data.count(b"\n", 0, bad.start) + 1).fault("this is not UTF-8") from None


def _load(text: str, path: Path) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader that also counts lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Place(path, mark.line + 1 if mark else 1).fault(f"this is not YAML ({error.problem})") from None
    except yaml.reader.ReaderError as error:
        raise Place(path, text.count("\n", 0, error.position) + 1).fault(f"this is not YAML ({error.reason})") from None
    except RecursionError:
        raise Place(path, 1).fault("this is nested too deeply") from None
    except (ValueError, yaml.YAMLError) as error:  # e.g. an impossible date
        raise Place(path, 1).fault(f"this is not YAML that a recording can hold ({error})") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader; mappings become `LinedDict`s."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> LinedDict:
    loader.flatten_mapping(node)
    made = LinedDict(node.start_mark.line + 1)
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        _check_key(key, made, key_node)
        made[key] = loader.construct_object(value_node, deep=True)
        made.lines[key] = key_node.start_mark.line + 1
    return made


def _check_key(key: Any, made: LinedDict, node: yaml.Node) -> None:
    if not isinstance(key, str):
        raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is no text; quote it", node.start_mark)
    if key in made:
        raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands here twice", node.start_mark)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
