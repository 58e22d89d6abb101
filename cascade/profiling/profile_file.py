"""A skill profile as a file: JSON that people can read, but for the vectors, which are base64.

The law of this file: what is read is checked, and an error names the file and what is wrong. A changed profile gets
the next revision, and the one before it stays beside it as `<name>.r<revision>.json`.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import orjson

from router.errors import ConfigError
from router.pricing import Usage
from router.skill_lookup import ProfiledQuestion, SkillProfile
from router.skills import Count, ModelSkills

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT = "gearbox-skills"
VERSION = 1
#: Half precision: similarities differ by less than 0.001, the file is half as long.
_DTYPE = np.dtype("<f2")

_TEXT = {"type": "string"}
_COUNT = {"type": "number", "minimum": 0}
_MODEL = {
    "type": "object",
    "properties": {
        "usage": {
            "type": ["object", "null"],
            "properties": {"prompt_tokens": _COUNT, "completion_tokens": _COUNT},
            "required": ["prompt_tokens", "completion_tokens"],
        },
        "counts": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": _COUNT, "minItems": 2, "maxItems": 2},
        },
    },
    "required": ["counts"],
}
_QUESTION = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "needs": {
            "type": "object",
            "additionalProperties": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        },
    },
    "required": ["id", "needs"],
}
_SCHEMA = {
    "type": "object",
    "properties": {
        "format": {"const": FORMAT},
        "version": {"const": VERSION},
        "revision": {"type": "integer", "minimum": 1},
        "name": _TEXT,
        "source": _TEXT,
        "critic": _TEXT,
        "criterion": _TEXT,
        "embedding_model": _TEXT,
        "dimensions": {"type": "integer", "minimum": 1},
        "models": {"type": "object", "additionalProperties": _MODEL, "minProperties": 1},
        "questions": {"type": "array", "items": _QUESTION},
        "centres": {"type": "object", "additionalProperties": _TEXT},
        "vectors": _TEXT,
    },
    "required": ["format", "version", "revision", "embedding_model", "dimensions", "models", "questions", "vectors"],
}
_VALIDATOR = jsonschema.Draft202012Validator(_SCHEMA)


def load_profile(path: Path) -> SkillProfile:
    """Read a profile.

    Raises:
        ConfigError: it is not there, not JSON, not of this format, or its vectors do not fit its questions.
    """
    try:
        told = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path}: the skill profile cannot be read: {error.strerror}", param="skills.profile"
        ) from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: not JSON: {error.msg}", param="skills.profile") from error
    wrong = jsonschema.exceptions.best_match(_VALIDATOR.iter_errors(told))
    if wrong is not None:
        raise ConfigError(f"{path}: {wrong.message[:200]} at {wrong.json_path}", param="skills.profile")
    return _profile(path, told)


def save_profile(profile: SkillProfile, path: Path) -> SkillProfile:
    """Write a profile; where there is one already it is kept under its revision, and this one gets the next.

    Raises:
        ConfigError: what is there is no profile, or the file cannot be written.
    """
    if path.exists():
        before = load_profile(path)
        profile = replace(profile, revision=before.revision + 1)
        _write(path, path.with_name(f"{path.stem}.r{before.revision}{path.suffix}"), path.read_bytes())
    _write(path, path, orjson.dumps(as_json(profile), option=orjson.OPT_INDENT_2))
    return profile


def as_json(profile: SkillProfile) -> dict[str, Any]:
    """The profile as it is written."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "revision": profile.revision,
        "name": profile.name,
        "source": profile.source,
        "critic": profile.critic,
        "criterion": profile.criterion,
        "embedding_model": profile.embedding_model,
        "dimensions": int(profile.vectors.shape[1]),
        "models": {name: _model(skills) for name, skills in profile.models.items()},
        "questions": [{"id": each.id, "needs": dict(each.needs)} for each in profile.questions],
        "centres": {name: _packed(centre) for name, centre in profile.centres.items()},
        "vectors": _packed(profile.vectors),
    }


def _model(skills: ModelSkills) -> dict[str, Any]:
    usage = skills.usage
    told = (
        None
        if usage is None
        else {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
        }
    )
    return {"usage": told, "counts": {name: [count.shown, count.required] for name, count in skills.counts.items()}}


def _write(profile: Path, path: Path, data: bytes) -> None:
    """All of it or nothing: written beside it, then moved into its place."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"{profile}: the skill profile cannot be written: {error.strerror}") from error


def _profile(path: Path, told: Mapping[str, Any]) -> SkillProfile:
    dimensions, questions = told["dimensions"], told["questions"]
    return SkillProfile(
        name=told.get("name") or path.stem,
        embedding_model=told["embedding_model"],
        models={name: _skills(path, name, row) for name, row in told["models"].items()},
        questions=tuple(ProfiledQuestion(each["id"], each["needs"]) for each in questions),
        vectors=_unpacked(path, told["vectors"], dimensions, len(questions)),
        critic=told.get("critic", ""),
        source=told.get("source", ""),
        revision=told["revision"],
        criterion=told.get("criterion", ""),
        centres={name: _unpacked(path, data, dimensions, 1)[0] for name, data in told.get("centres", {}).items()},
    )


def _skills(path: Path, model: str, row: Mapping[str, Any]) -> ModelSkills:
    counts = {skill: Count(shown, required) for skill, (shown, required) in row["counts"].items()}
    for skill, count in counts.items():
        if count.shown > count.required:
            raise ConfigError(
                f"{path}: {model} demonstrated {skill!r} {count.shown:g} times in {count.required:g} instances",
                param="skills.profile",
            )
    usage = row.get("usage")
    if usage is None:
        return ModelSkills(counts)
    return ModelSkills(counts, Usage(round(usage["prompt_tokens"]), round(usage["completion_tokens"])))


def _packed(vectors: NDArray[np.float32]) -> str:
    return base64.b64encode(vectors.astype(_DTYPE).tobytes()).decode()


def _unpacked(path: Path, data: str, dimensions: int, rows: int) -> NDArray[np.float32]:
    try:
        flat = np.frombuffer(base64.b64decode(data, validate=True), dtype=_DTYPE).astype(np.float32)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f"{path}: its vectors are not base64: {error}", param="skills.profile") from error
    if flat.size != dimensions * rows or not np.isfinite(flat).all():
        raise ConfigError(f"{path}: its vectors are not {rows} of {dimensions} finite numbers", param="skills.profile")
    return flat.reshape(rows, dimensions)
