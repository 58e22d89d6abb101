"""A recording's folder -> a `Recording`: the three readers in order.

The law of this file: it puts the pieces together; what a piece must look like stands with the piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.recordings.answers import answers_path, check_files, read_answers
from cascade.recordings.header import FILE_NAME, read_header
from cascade.recordings.queries import read_queries
from cascade.recordings.records import Recording
from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cascade.recordings.header import Header
    from cascade.recordings.records import Query


def load(folder: Path, models: Iterable[str] | None = None) -> Recording:
    """Read a recording.

    Args:
        folder: where its `recording.yaml` is.
        models: the models whose answers are wanted; None = all. The others' files must exist but are not read.

    Raises:
        ConfigError: whatever is wrong with it: the message names file and line.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder; a recording is a folder with a {FILE_NAME}")
    header = read_header(folder)
    check_files(folder, header)
    queries = read_queries(folder, header.splits)
    return _recording(folder, header, queries, _wanted(folder, header, models))


def _wanted(folder: Path, header: Header, models: Iterable[str] | None) -> list[str]:
    wanted = list(header.models) if models is None else list(dict.fromkeys(models))
    unknown = [model for model in wanted if model not in header.models]
    if unknown:
        raise ConfigError(f"{folder / FILE_NAME} has no model {unknown[0]!r}; it has: {', '.join(header.models)}")
    return wanted


def _recording(folder: Path, header: Header, queries: tuple[Query, ...], models: list[str]) -> Recording:
    by_id = {query.id: query for query in queries}
    return Recording(
        folder=folder,
        name=header.name,
        about=header.about,
        models=header.models,
        ladders=header.ladders,
        judge=header.judge,
        splits=header.splits or tuple(dict.fromkeys(query.split for query in queries)),
        partial=header.partial,
        queries=queries,
        answers={model: read_answers(answers_path(folder, model), header, by_id) for model in models},
    )
