"""Which policies a replay runs, and with which settings: what the command line says -> policies.

The law of this file: it knows names, settings and what a recording can show; it runs nothing. Whatever it leaves out
unasked it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import yaml

from cascade.lab import oracle
from cascade.lab.stream import Oracle
from cascade.policies import registry
from cascade.policies.always import ALWAYS
from cascade.policies.baselines import NAMES as BASELINES
from cascade.recordings.words import has_answers, has_confidence, has_text
from router.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cascade.lab.stream import Stream
    from cascade.policies.policy import Policy

#: Policy -> its settings, as `--set` gives them.
Settings = dict[str, dict[str, Any]]


def parse_settings(given: Sequence[str]) -> Settings:
    """`policy.key=value` -> policy -> key -> value; values are read as YAML: numbers, true, null, text.

    Raises:
        ConfigError: not of that form.
    """
    found: Settings = {}
    for text in given:
        name, equals, value = text.partition("=")
        policy, dot, key = name.strip().rpartition(".")
        if not equals or not dot or not policy or not key:
            raise ConfigError(f"--set {text}: write it as policy.key=value, such as llm-at.threshold=0.8")
        found.setdefault(policy, {})[key] = _value(text, value)
    return found


def default_names(chosen: Stream, settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The policies to run where none is named, and why others were left out, in words."""
    always = [f"{ALWAYS}{tier.name}" for tier in chosen.tiers]
    kept, notes = [], []
    for name in (*BASELINES, *registry.names()):
        why = _why_not(chosen, name, settings.get(name, {}))
        if why is None:
            kept.append(name)
        else:
            notes.append(f"{name} was left out: {why}")
    return (*always, *kept, oracle.NAME), tuple(notes)


def build(names: Sequence[str], settings: Settings) -> list[Policy | Oracle]:
    """The policies of these names with their settings; a name that is given twice is run once.

    Raises:
        ConfigError: an unknown policy or setting, a value out of its range, or settings for a policy that is not run.
    """
    wanted = tuple(dict.fromkeys(names))
    idle = [policy for policy in settings if policy not in wanted]
    if idle:
        raise ConfigError(f"--set {idle[0]}.…: that policy is not run here; run are: {', '.join(wanted)}")
    return [_built(name, settings.get(name, {})) for name in wanted]


def is_policy(policy: Policy | Oracle) -> TypeGuard[Policy]:
    """Whether this is asked; the oracle is only scored."""
    return not isinstance(policy, Oracle)


def _built(name: str, settings: Mapping[str, Any]) -> Policy | Oracle:
    if name == oracle.NAME:
        return Oracle()
    try:
        policy = registry.build(name, settings)
    except RequestError as error:
        raise ConfigError(
            f"{error.message}, {oracle.NAME}" if "there are" in error.message else error.message
        ) from None
    if settings and not registry.has_settings(name):
        raise ConfigError(f"--set {name}.{next(iter(settings))}: {name} has no settings")
    return policy


def _why_not(chosen: Stream, name: str, settings: Mapping[str, Any]) -> str | None:
    """Why this recording cannot show anything about a policy; None = it can."""
    if name == "skills" and not settings.get("profile"):
        return "it needs a profile (gearbox skills profile, then --set skills.profile=FILE)"
    if name == "llm-at" and not has_text(chosen.queries):
        return "the recording holds no questions, and it compares questions"
    if name == "agreement" and not has_answers(chosen.recording, chosen.models):
        return "the recording holds no final answers, and it compares them"
    if name == "two-tier" and not has_confidence(chosen.recording, chosen.models[:1]):
        return f"the recording holds no confidence of {chosen.models[0]}"
    return None


def _value(text: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text}: the value is neither a number nor a word") from None
