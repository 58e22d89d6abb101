"""`answers/<model>.jsonl.gz`: one model's answers to all queries.

The law of this file: one line, one answer; every fault names file and line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.recordings.fields import Fields, Place
from cascade.recordings.header import file_stem
from cascade.recordings.lines import read_objects
from cascade.recordings.records import RecordedAnswer, RecordedVerdict
from router.pricing import Usage, usd_to_nanousd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cascade.recordings.header import Header
    from cascade.recordings.records import Query

_SUFFIX = ".jsonl.gz"


def answers_path(folder: Path, model: str) -> Path:
    """The file that holds a model's answers."""
    return folder / "answers" / f"{file_stem(model)}{_SUFFIX}"


def check_files(folder: Path, header: Header) -> None:
    """Every model has its file, and every file has its model, whether it will be read or not.

    Raises:
        ConfigError: a file is missing, or belongs to no model.
    """
    wanted = {answers_path(folder, model): model for model in header.models}
    for path, model in wanted.items():
        if not _is_file(path):
            raise Place(path, 1).fault(f"there is no such file, so {model!r} has no answers")
    for path in sorted((folder / "answers").glob(f"*{_SUFFIX}")):
        if path not in wanted:
            known = ", ".join(header.models)
            raise Place(path, 1).fault(f"these are answers of an unknown model; recording.yaml knows: {known}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # its folder may not be looked into, or the name is too long
        raise Place(path, 1).fault(f"the file cannot be read ({error.strerror or error})") from error


def read_answers(path: Path, header: Header, queries: Mapping[str, Query]) -> dict[str, RecordedAnswer]:
    """A model's answers by query id.

    Args:
        path: the model's file.
        header: the checked recording.yaml; in a partial recording answers and grades may be missing.
        queries: all queries by id.

    Raises:
        ConfigError: whatever is wrong, with its line.
    """
    lines: dict[str, int] = {}
    answers = {}
    for fields in read_objects(path, may_be_empty=header.partial):
        answer = _answer(fields, header)
        first = lines.setdefault(answer.id, fields.place.line)
        if first != fields.place.line:
            raise fields.place.fault(f"there is an answer to {answer.id!r} on line {first} already")
        if answer.id not in queries:
            raise fields.place.fault(f"this answers {answer.id!r}, a query that queries.jsonl.gz does not hold")
        answers[answer.id] = answer
    if not header.partial:
        _check_complete(path, answers, queries)
    return answers


def _check_complete(path: Path, answers: Mapping[str, RecordedAnswer], queries: Mapping[str, Query]) -> None:
    missing = [query for query in queries.values() if query.id not in answers]
    if missing:
        first = f"{missing[0].id!r} (queries.jsonl.gz, line {missing[0].line})"
        what = f"the file ends here without an answer to {len(missing)} of {len(queries)} queries, the first is {first}"
        raise Place(path, len(answers)).fault(f"{what}; only a recording with `partial: true` may lack answers")


def _answer(fields: Fields, header: Header) -> RecordedAnswer:
    has = fields.has
    return RecordedAnswer(
        id=fields.name("id"),
        content=fields.text("content"),
        final=fields.text("answer"),
        correct=_correct(fields, header.partial),
        usage=_usage(fields),
        latency_s=fields.number("latency_s") if has("latency_s") else None,
        abstained=fields.flag("abstained") if has("abstained") else False,
        confidence=fields.number("confidence", 1) if has("confidence") else None,
        confidence_nanousd=usd_to_nanousd(fields.number("confidence_usd")) if has("confidence_usd") else 0,
        verdict=_verdict(fields, header) if has("judge") else None,
    )


def _usage(fields: Fields) -> Usage:
    return Usage(fields.count("prompt_tokens"), fields.count("completion_tokens"))


def _correct(fields: Fields, partial: bool) -> int | None:
    value = fields.values.get("correct")
    if value is None and partial and "correct" in fields.values:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value not in {0, 1}:
        raise fields.fault("correct", "1 or 0" + (" or null" if partial else ""))
    return value


def _verdict(fields: Fields, header: Header) -> RecordedVerdict:
    block = fields.values["judge"]
    if not isinstance(block, dict):
        raise fields.fault("judge", "an object")
    inside = Fields(block, fields.place)
    model = inside.name("model")
    if model not in header.models:
        known = ", ".join(header.models)
        raise fields.place.fault(
            f"the judge {model!r} is an unknown model without a price; recording.yaml knows: {known}"
        )
    latency_s = inside.number("latency_s") if inside.has("latency_s") else None
    return RecordedVerdict(inside.flag("valid"), model, _usage(inside), latency_s)
