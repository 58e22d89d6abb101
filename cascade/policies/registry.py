"""The policies by name: the one place that knows which there are. A new policy is one file and one line here."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from cascade.policies.always import ALWAYS, Always
from cascade.policies.auto import Auto
from cascade.policies.auto_settings import AutoSettings
from cascade.policies.baselines import NAMES as BASELINES
from cascade.policies.baselines import RANDOM, baseline
from cascade.policies.llm_at import LlmAt, LlmAtSettings
from cascade.policies.skills import Skills, SkillsSettings
from cascade.policies.two_tier import TwoTier
from cascade.policies.two_tier_settings import TwoTierSettings
from router.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cascade.policies.policy import Policy

#: name -> (its settings' type, how it is made of them)
_POLICIES: Mapping[str, tuple[type[Any], Callable[[Any], Policy]]] = {
    "auto": (AutoSettings, Auto),
    "llm-at": (LlmAtSettings, LlmAt),
    "two-tier": (TwoTierSettings, TwoTier),
    "skills": (SkillsSettings, Skills),
}
#: Setting names as the papers write them, where Python has no such name.
_SPELLINGS: Mapping[str, str] = {"lambda": "smoothing", "theta": "threshold"}


def names() -> tuple[str, ...]:
    """Every policy with settings that a client can name; `always:<tier>` and the baselines can be named too."""
    return tuple(_POLICIES)


def has_settings(name: str) -> bool:
    """Whether `build` looks at settings for this policy."""
    return name in names()


def settings_of(name: str) -> type[Any]:
    """The dataclass of a policy's settings; KeyError for a policy without any."""
    return _POLICIES[name][0]


def written(field: str) -> str:
    """A setting's name as it is written in the configuration."""
    return "lambda" if field == "smoothing" else field


def build(name: str, settings: Mapping[str, Any] | None = None) -> Policy:
    """The policy of that name.

    Raises:
        RequestError: there is none, or its share is none; the message names what would be right.
        ConfigError: a setting is unknown or out of its range.
    """
    if name.startswith(ALWAYS):
        return Always(name.removeprefix(ALWAYS))
    simple = find_baseline(name)
    if simple is not None:
        return simple
    if name not in names():
        known = ", ".join((*names(), *BASELINES, f"{RANDOM}<share>", f"{ALWAYS}<tier>"))
        raise RequestError(f"unknown policy {name!r}; there are: {known}")
    kind, make = _POLICIES[name]
    return make(validate(name, settings or {}, kind))


def find_baseline(name: str) -> Policy | None:
    """`bottom-up`, `agreement` or `random:<share>`, which have no settings; None for every other name.

    Raises:
        RequestError: `random:` with something that is no share.
    """
    try:
        return baseline(name)
    except ValueError as error:
        raise RequestError(str(error)) from None


def validate(name: str, settings: Mapping[str, Any], kind: type[Any] | None = None) -> Any:
    """Check a policy's settings as the configuration gives them, keys in kebab or snake case.

    Raises:
        ConfigError: naming the key and what is allowed.
    """
    if kind is None:
        if name not in names():
            raise ConfigError(f"unknown policy {name!r}; there are: {', '.join(names())}", param=name)
        kind = _POLICIES[name][0]
    known = {field.name for field in fields(kind)}
    given: dict[str, Any] = {}
    for key, value in settings.items():
        spelled = _SPELLINGS.get(key, key.replace("-", "_"))
        if spelled not in known:
            near = difflib.get_close_matches(spelled, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"
            raise ConfigError(f"{name} has no setting {key!r}{hint}", param=key)
        given[spelled] = value
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else next(iter(settings), name)
        words = first["msg"].removeprefix("Value error, ")
        raise ConfigError(words, param=key) from error
