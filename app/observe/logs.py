"""structlog, set up once by the command line: console or JSON, to standard error."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import structlog

from router.errors import GearboxError


def configure(level: str, form: str) -> None:
    """Set logging up: `level` is debug, info, warning or error; `form` is console or json."""
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    renderer: Any = structlog.processors.JSONRenderer() if form == "json" else console
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.ExceptionRenderer(_wordless),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries say more than they should (aiosqlite writes every row out), so only warnings of theirs are heard.
    heard = max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING)
    logging.basicConfig(level=heard, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")


def _wordless(exc_info: Any) -> str:
    """Where it happened and what kind it is; no local variables, and no words but ours and the system's.

    Keys and prompts stand in the variables, and libraries quote what they could not read.
    """
    told: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        words = f": {error}" if isinstance(error, GearboxError | OSError) else ""
        told.append("".join(traceback.format_tb(error.__traceback__)) + kind + words)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nwhile handling:\n\n".join(told)
