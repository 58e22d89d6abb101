"""A LiteLLM `config.yaml` -> the text of the equivalent `gearbox.yaml`.

The law of this file: pure, and no secret leaves it. A literal key is replaced by a reference to an environment
variable, and a comment says which one to export; every variable that the file names counts as set, so that nothing is
left out because it is not exported here and now.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from app.config import lines as config_lines
from app.config.environment import Variables
from app.config.litellm import translation
from router.endpoints import VENDORS
from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from router.catalog import Catalog

_ENVIRON = "os.environ/"
_SECRET = re.compile(r"key|secret|token|password|credential|authorization|cookie", re.IGNORECASE)
_UNFIT = re.compile(r"[^A-Z0-9]+")
_FIRST = ("tiers", "aliases", "policy", "keys")
#: Stands for the value of a variable that the file names; never printed.
_SET = "set"


def gearbox_yaml(text: str, name: str, variables: Variables, catalog: Catalog, today: date) -> str:
    """The equivalent `gearbox.yaml`, with comments on what was left out and which variables are needed.

    Raises:
        ConfigError: the file is not LiteLLM's, or wrong.
    """
    document = config_lines.parse(text, name)
    if not translation.is_litellm(document.data):
        raise ConfigError(f"{name}: this is no LiteLLM configuration: it has no model_list")
    translated, notes = translation.translate(document, _as_if_set(document.data, variables), catalog, today)
    hidden = _Hidden(taken=set(_references(document.data)))
    data = {key: hidden.without(translated.data[key], (key,)) for key in _ordered(translated.data)}
    needed = sorted({*_references(data)})
    comments = [
        f"What {name} says, as gearbox.yaml.",
        *notes,
        *hidden.notes,
        *([f"needs in the environment: {', '.join(needed)}"] if needed else []),
    ]
    lines = [f"# {line}" for comment in comments for line in comment.splitlines()]
    return "\n".join([*lines, yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)])


def _ordered(data: Mapping[str, Any]) -> list[str]:
    """The keys that a file has and that say something, the ladder first."""
    present = [key for key in data if data[key] not in ({}, None)]
    return [*(key for key in _FIRST if key in present), *(key for key in present if key not in _FIRST)]


def _as_if_set(data: Mapping[str, Any], variables: Variables) -> Variables:
    """The environment with every variable that the file needs."""
    values = dict.fromkeys([*_references(data), *_vendor_keys(data)], _SET)
    return Variables({**values, **{name: variables.get(name) or "" for name in variables}})


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(_ENVIRON):
        yield value.removeprefix(_ENVIRON)
    for inner in _inside(value):
        yield from _references(inner)


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _vendor_keys(data: Mapping[str, Any]) -> Iterator[str]:
    """The usual variables of the vendors whose models are named."""
    items = data.get("model_list")
    for item in items if isinstance(items, list) else ():
        params = item.get("litellm_params") if isinstance(item, dict) else None
        model = params.get("model") if isinstance(params, dict) else None
        vendor = VENDORS.get(str(model).partition("/")[0])
        if vendor is not None:
            yield from vendor.key_names[:1]


@dataclass
class _Hidden:
    """Replaces secrets by references; the same secret by the same one."""

    taken: set[str]
    names: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def without(self, value: Any, path: config_lines.Path) -> Any:
        """The value without its secrets."""
        if isinstance(value, dict):
            return {key: self.without(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.without(inner, (*path, place)) for place, inner in enumerate(value)]
        if isinstance(value, str) and not value.startswith(_ENVIRON) and _is_secret(str(path[-1]), value):
            return _ENVIRON + self._name(value, path)
        return value

    def _name(self, secret: str, path: config_lines.Path) -> str:
        if secret not in self.names:
            wanted = _UNFIT.sub("_", config_lines.dotted(path).upper()).strip("_")
            self.names[secret] = self._free(f"GEARBOX_SECRET_{wanted}")
        name = self.names[secret]
        self.notes.append(f"{config_lines.dotted(path)}: a secret stood here in plain text; export {name}=...")
        return name

    def _free(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self.taken:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return name


def _is_secret(key: str, value: str) -> bool:
    if _SECRET.search(key):
        return True
    try:
        return "://" in value and urlsplit(value).password is not None
    except ValueError:
        return False
