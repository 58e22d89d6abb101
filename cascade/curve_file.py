"""P(wrong) by margin, fitted on labelled answers elsewhere, as a file: what `two-tier.curves` names.

The law of this file: strict; a curve that could not have been fitted is an error that names the file.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson

from router.errors import ConfigError
from router.margins_state import Block, Curve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from router.margins_state import Series

_UNIT = {"type": "number", "minimum": 0, "maximum": 1}
_BLOCK = {
    "type": "object",
    "properties": {"margin": {"type": "number", "minimum": 0}, "p_wrong": _UNIT, "share": _UNIT},
    "required": ["margin", "p_wrong", "share"],
    "additionalProperties": False,
}
_CURVE = {
    "type": "object",
    "properties": {
        "model": {"type": "string", "minLength": 1},
        "measure": {"type": "string", "minLength": 1},
        "labelled": {"type": "integer", "minimum": 1},
        "blocks": {"type": "array", "minItems": 1, "items": _BLOCK},
    },
    "required": ["model", "measure", "labelled", "blocks"],
    "additionalProperties": False,
}
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "version": {"const": 1},
        "source": {"type": "string"},
        "curves": {"type": "array", "minItems": 1, "items": _CURVE},
    },
    "required": ["version", "source", "curves"],
    "additionalProperties": False,
}
_VALIDATOR = jsonschema.Draft202012Validator(dict(_SCHEMA))


def save_curves(curves: Mapping[Series, Curve], source: str, path: Path) -> None:
    """Write them; `source` says what they were fitted on.

    Raises:
        ConfigError: the file cannot be written.
    """
    told = [
        {
            "model": model,
            "measure": measure,
            "labelled": curve.labelled,
            "blocks": [{"margin": b.margin, "p_wrong": b.p_wrong, "share": b.share} for b in curve.blocks],
        }
        for (model, measure), curve in curves.items()
    ]
    data = orjson.dumps({"version": 1, "source": source, "curves": told}, option=orjson.OPT_INDENT_2)
    try:
        path.write_bytes(data + b"\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def load_curves(path: Path) -> dict[Series, Curve]:
    """(model, measure) -> its curve.

    Raises:
        ConfigError: no such file, not JSON, not of this form, or P(wrong) rises with the margin.
    """
    try:
        told = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: the curves cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{path}, line {error.lineno}: this is not JSON ({error.msg})") from None
    wrong = jsonschema.exceptions.best_match(_VALIDATOR.iter_errors(told))
    if wrong is not None:
        raise ConfigError(f"{path}: {wrong.message[:200]} at {wrong.json_path}")
    return {(each["model"], each["measure"]): _curve(path, each) for each in told["curves"]}


def _curve(path: Path, told: Mapping[str, Any]) -> Curve:
    blocks = tuple(Block(each["margin"], each["p_wrong"], each["share"]) for each in told["blocks"])
    for lower, upper in pairwise(blocks):
        if not (lower.margin < upper.margin and lower.p_wrong >= upper.p_wrong):
            raise ConfigError(f"{path}: {told['model']}: P(wrong) has to fall while the margin rises, block by block")
    return Curve(blocks, told["labelled"])
