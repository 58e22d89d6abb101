"""`gearbox replay`: policies over recordings; a table for people, JSON for programs, a report to show around."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console

from app.lab.progress import note, progress_bar
from app.lab.table import result_table
from app.observe.logs import configure
from cascade.lab import lineup
from cascade.lab.curves import POLICY, budget_curve
from cascade.lab.embeddings import CachedEmbedder
from cascade.lab.ladder import POOL
from cascade.lab.report.page import page
from cascade.lab.report.results import Result
from cascade.policies.always import ALWAYS
from cascade.recordings import load
from cascade.replay import as_json, replay, stream
from router.embedding import SentenceTransformerEmbedder
from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cascade.lab.curves import Curve
    from cascade.lab.lineup import Settings
    from cascade.lab.score import Row
    from cascade.lab.stream import Stream


#: Columns of a table that goes to a file or a pipe.
WIDTH = 160


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for; `ladders` empty = each recording's default."""

    recordings: Sequence[Path]
    ladders: Sequence[str]
    policies: Sequence[str]
    settings: Settings
    split: str | None = None
    shuffle: int | None = None
    limit: int | None = None

    @property
    def rungs(self) -> Sequence[str | None]:
        """The ladders to replay; None = the default."""
        return self.ladders or (None,)


def run(wish: Wish, *, as_json_only: bool, report: Path | None) -> None:
    """Replay, print, and write the report.

    Raises:
        ConfigError: a broken recording (file and line), or a wish that cannot be granted.
    """
    configure("warning", "console")
    if report is not None:
        check_writable(report)
    results = replayed(wish, curves=report is not None)
    told: list[Any] = [as_json(result.stream, result.rows) for result in results]
    if as_json_only:
        sys.stdout.buffer.write(orjson.dumps(told if len(told) > 1 else told[0], option=orjson.OPT_INDENT_2) + b"\n")
    else:
        console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
        for result in results:
            console.print(result_table(result))
            console.print()
    if report is not None:
        report.write_text(page(results), encoding="utf-8")
        note(f"the report is in {report}")


def replayed(wish: Wish, *, curves: bool = False) -> list[Result]:
    """Every recording over every ladder; all are read and checked before the first is replayed.

    `curves` adds a policy over all budgets, where one of them has such a curve.
    """
    streams = [chosen for folder in wish.recordings for chosen in _streams(folder, wish)]
    planned = [(chosen, *_policies(chosen, wish)) for chosen in streams]
    embedder = CachedEmbedder(SentenceTransformerEmbedder())
    results = []
    with progress_bar() as tell:
        for chosen, policies, left_out in planned:
            rows = replay(chosen, policies, embedder, tell)
            results.append(Result(chosen, tuple(rows), left_out, _curve(chosen, rows, wish) if curves else None))
    for result in results:
        for line in result.left_out:
            note(f"{result.title}: {line}")
    return results


def _curve(chosen: Stream, rows: Sequence[Row], wish: Wish) -> Curve | None:
    asked = any(row.policy == POLICY for row in rows)
    singles = [row for row in rows if row.policy.startswith(ALWAYS)]
    return budget_curve(chosen, wish.settings.get(POLICY, {}), singles) if asked else None


def check_writable(path: Path) -> None:
    """Refuse early what could not be written in the end.

    Raises:
        ConfigError: the folder is not there, or the path is one.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file to write")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent.resolve()} to write it to")


def _streams(folder: Path, wish: Wish) -> list[Stream]:
    recording = load(folder)
    return [
        stream(recording, ladder, split=wish.split, shuffle=wish.shuffle, limit=wish.limit) for ladder in wish.rungs
    ]


def _policies(chosen: Stream, wish: Wish) -> tuple[list[Any], tuple[str, ...]]:
    names, left_out = (wish.policies, ()) if wish.policies else lineup.default_names(chosen, wish.settings)
    policies = lineup.build(names, wish.settings)
    known = [tier.name for tier in chosen.tiers]
    for policy in policies:
        tier = policy.name.removeprefix(ALWAYS)
        if tier != policy.name and tier not in known:
            raise ConfigError(
                f"{policy.name}: this ladder ({chosen.ladder}) has no such tier; it has: {', '.join(known)}"
            )
    return policies, tuple(left_out)


def ladders_of(names: Sequence[str], *, pool: bool) -> tuple[str, ...]:
    """`--ladder` and `--pool` together, each once."""
    return tuple(dict.fromkeys((*names, *((POOL,) if pool else ()))))
