"""`recording.yaml`: what a recording is, its models, ladders, judge and splits.

The law of this file: it checks everything that can be known before a query is read; every fault names file and line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade.recordings.records import RecordedModel, SimulatedJudge
from cascade.recordings.yaml_fields import inner, read_yaml
from router.pricing import Price, Rates, per_mtok

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cascade.recordings.fields import Fields

FILE_NAME = "recording.yaml"


@dataclass(frozen=True, slots=True)
class Header:
    """`recording.yaml`, checked; `splits` is empty where the file names none."""

    name: str
    about: str
    models: Mapping[str, RecordedModel]
    ladders: Mapping[str, tuple[str, ...]]
    judge: SimulatedJudge | None
    splits: tuple[str, ...]
    partial: bool


def read_header(folder: Path) -> Header:
    """Read and check the file.

    Raises:
        ConfigError: whatever is wrong with it, with its line.
    """
    top = read_yaml(folder / FILE_NAME)
    models = _models(inner(top, "models"))
    return Header(
        name=top.name("name"),
        about=top.text("about") if "about" in top.values else "",
        models=models,
        ladders=_ladders(inner(top, "ladders"), models),
        judge=_judge(inner(top, "judge")),
        splits=_names(top, "splits") if top.has("splits") else (),
        partial=top.flag("partial") if "partial" in top.values else False,
    )


def _models(block: Fields) -> dict[str, RecordedModel]:
    models: dict[str, RecordedModel] = {}
    files: dict[str, str] = {}
    for name in block.values:
        twin = files.setdefault(file_stem(name), name)
        if not name or twin != name:
            raise block.at(name).fault(f"the model {name!r} would share its file with {twin!r}; rename one")
        models[name] = _model(name, inner(block, name))
    return models


def _model(name: str, fields: Fields) -> RecordedModel:
    rates = Rates(per_mtok(fields.number("input_usd_per_mtok")), per_mtok(fields.number("output_usd_per_mtok")))
    return RecordedModel(name, Price(rates), fields.number("prior_accuracy", 1))


def _ladders(block: Fields, models: Mapping[str, RecordedModel]) -> dict[str, tuple[str, ...]]:
    ladders = {}
    for name in block.values:
        rungs = _names(block, name)
        unknown = [rung for rung in rungs if rung not in models]
        if unknown:
            known = ", ".join(models)
            raise block.at(name).fault(
                f"ladder {name!r} names the unknown model {unknown[0]!r}; the models are: {known}"
            )
        ladders[name] = rungs
    return ladders


def _names(fields: Fields, key: str) -> tuple[str, ...]:
    """A list of different, not empty strings."""
    names = fields.items(key)
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise fields.at(key).fault(f"{key!r} holds {name!r}; its entries must be text")
        if name in names[:place]:
            raise fields.at(key).fault(f"{key!r} holds {name!r} twice")
    return tuple(names)


def _judge(block: Fields) -> SimulatedJudge | None:
    match block.values.get("kind"):
        case "recorded":
            return None
        case "simulated":
            return SimulatedJudge(
                accept_right=block.number("accept_right", 1),
                accept_wrong=block.number("accept_wrong", 1),
                prompt_overhead_tokens=block.count("prompt_overhead_tokens"),
                completion_tokens=block.count("completion_tokens"),
            )
        case _:
            raise block.fault("kind", "recorded or simulated")


def file_stem(model: str) -> str:
    """A model's name as its answer file spells it."""
    return model.replace("/", "--")
