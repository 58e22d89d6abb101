"""YAML with line numbers: a document's data, and the line of every key in it.

The law of this file: it knows YAML and no setting. A key that stands twice is an error, since YAML would silently keep
the last one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

Path: TypeAlias = tuple[str | int, ...]

#: More keys and items than this come from aliases that multiply each other, not from a person.
_MOST_LINES = 200_000
_FLOAT_TAG = "tag:yaml.org,2002:float"
_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+\Z")
_NUMERAL = frozenset("+-.0123456789")
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, and 1.2's numbers beside: `5e-2` is a number, not a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own shape
        first: [*resolvers, *([(_FLOAT_TAG, _FLOAT)] if first in _NUMERAL else [])]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class Document:
    """A configuration as read: its file's name, its data, and the line of each path.

    `origins` maps paths of translated data back to where they stand in the file (LiteLLM configs).
    """

    name: str
    data: dict[str, Any] = field(repr=False)
    lines: Mapping[Path, int] = field(repr=False)
    origins: Mapping[Path, Path] = field(default_factory=dict, repr=False)

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest block around it; from 1."""
        return self.lines.get(self.source(path)) or (self.line(path[:-1]) if path else 1)

    def source(self, path: Path) -> Path:
        """The path as it stands in the file."""
        for size in range(len(path), 0, -1):
            if path[:size] in self.origins:
                return (*self.origins[path[:size]], *path[size:])
        return path

    def error(self, path: Path, message: str) -> ConfigError:
        """An error that says where it is."""
        return ConfigError(self.say(path, message), param=dotted(path) or None)

    def say(self, path: Path, message: str) -> str:
        """`gearbox.yaml:12: tiers[0].name: message`."""
        key = dotted(self.source(path))
        return f"{self.name}:{self.line(path)}: {key + ': ' if key else ''}{message}"


def dotted(path: Path) -> str:
    """("tiers", 0, "name") -> `tiers[0].name`."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return words.removeprefix(".")


def parse(text: str, name: str) -> Document:
    """YAML text -> document.

    Raises:
        ConfigError: no valid YAML, a key that stands twice, a loop of aliases, or no mapping at the top.
    """
    try:
        return _parse(text, name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = str(error.problem or "")
        what = problem if error.context is None or not problem.startswith("but") else f"{error.context} {problem}"
        raise ConfigError(f"{name}:{line}: this is not valid YAML: {what or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: this is not valid YAML: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: a value in this YAML cannot be read: {error}") from error


def _parse(text: str, name: str) -> Document:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(name, {}, {})
        lines: dict[Path, int] = {(): node.start_mark.line + 1}
        _collect(node, (), lines, name, frozenset())
        data = loader.construct_document(node)
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise ConfigError(f"{name}:1: the file must be a mapping of keys, such as `tiers:`, and is {_kind(data)}")
    return Document(name, data, lines)


def _collect(node: yaml.Node, path: Path, lines: dict[Path, int], name: str, above: frozenset[int]) -> None:
    """Note the line of every key and item below a node."""
    if id(node) in above:
        raise ConfigError(f"{name}:{node.start_mark.line + 1}: this alias contains itself")
    if len(lines) > _MOST_LINES:
        raise ConfigError(f"{name}: its aliases unfold to more than {_MOST_LINES:,} keys; write it without them")
    inside = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        _collect_mapping(node, path, lines, name, inside)
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            lines.setdefault((*path, place), item.start_mark.line + 1)
            _collect(item, (*path, place), lines, name, inside)


def _collect_mapping(
    node: yaml.MappingNode, path: Path, lines: dict[Path, int], name: str, above: frozenset[int]
) -> None:
    seen: dict[str, int] = {}
    merged = []
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag == _MERGE:
            merged.append(value)
            continue
        word = str(key.value)
        if word in seen:
            where = dotted((*path, word))
            raise ConfigError(f"{name}:{line}: {where}: this key stands twice, first on line {seen[word]}; keep one")
        seen[word] = line
        lines.setdefault((*path, word), line)
        _collect(value, (*path, word), lines, name, above)
    for value in merged:
        parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for part in parts:
            _collect(part, path, lines, name, above)


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"a single {type(value).__name__}"
