"""A `Recording` -> its folder, in the format that the readers take.

The law of this file: the same recording gives the same bytes; nothing that is there is overwritten.
"""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from cascade.recordings.answers import answers_path
from cascade.recordings.header import FILE_NAME
from cascade.recordings.queries import FILE_NAME as QUERIES
from router.errors import ConfigError
from router.pricing import nanousd_to_usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cascade.recordings.records import Query, RecordedAnswer, RecordedVerdict, Recording


def write(recording: Recording, folder: Path) -> None:
    """Write it.

    Raises:
        ConfigError: the folder holds something already, or cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder} is there already; name a new or an empty folder")
        (folder / "answers").mkdir(parents=True, exist_ok=True)
        (folder / FILE_NAME).write_text(_header(recording), encoding="utf-8")
        (folder / QUERIES).write_bytes(packed(_query(query) for query in recording.queries))
        for model in recording.models:
            told = recording.answers.get(model, {})
            kept = (told[query.id] for query in recording.queries if query.id in told)
            answers_path(folder, model).write_bytes(packed(_answer(answer) for answer in kept))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror or error})") from error


def packed(objects: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON lines, gzipped without a name and a time."""
    held = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=held, mtime=0) as stream:
        for entry in objects:
            stream.write(orjson.dumps(entry) + b"\n")
    return held.getvalue()


def _header(recording: Recording) -> str:
    judge = recording.judge
    block = (
        {"kind": "recorded"}
        if judge is None
        else {
            "kind": "simulated",
            "accept_right": judge.accept_right,
            "accept_wrong": judge.accept_wrong,
            "prompt_overhead_tokens": judge.prompt_overhead_tokens,
            "completion_tokens": judge.completion_tokens,
        }
    )
    models = {
        name: {
            "input_usd_per_mtok": nanousd_to_usd(model.price.base.input),
            "output_usd_per_mtok": nanousd_to_usd(model.price.base.output),
            "prior_accuracy": model.prior_accuracy,
        }
        for name, model in recording.models.items()
    }
    head = {
        "name": recording.name,
        "about": recording.about,
        "models": models,
        "ladders": {name: list(rungs) for name, rungs in recording.ladders.items()},
        "judge": block,
        "splits": list(recording.splits),
        "partial": recording.partial,
    }
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120)


def _query(query: Query) -> dict[str, Any]:
    return {
        "id": query.id,
        "task": query.task,
        "split": query.split,
        "messages": list(query.messages),
        "reference": query.reference,
    }


def _answer(answer: RecordedAnswer) -> dict[str, Any]:
    told = {
        "id": answer.id,
        "content": answer.content,
        "answer": answer.final,
        "correct": answer.correct,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
        "latency_s": answer.latency_s,
        "abstained": answer.abstained or None,
        "confidence": answer.confidence,
        "confidence_usd": nanousd_to_usd(answer.confidence_nanousd) or None,
        "judge": None if answer.verdict is None else _verdict(answer.verdict),
    }
    return {key: value for key, value in told.items() if value is not None or key == "correct"}


def _verdict(verdict: RecordedVerdict) -> dict[str, Any]:
    told = {
        "model": verdict.model,
        "valid": verdict.valid,
        "prompt_tokens": verdict.usage.prompt_tokens,
        "completion_tokens": verdict.usage.completion_tokens,
    }
    return told if verdict.latency_s is None else {**told, "latency_s": verdict.latency_s}
