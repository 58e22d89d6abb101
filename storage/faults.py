"""A driver's error -> ours.

The law of this file: it sorts errors into "the database is away" (wait, or keep it in a journal) and "this row is
refused" (waiting never helps), and it is the only place that knows what the drivers raise.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from router.errors import GearboxError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

# PostgreSQL's classes of SQLSTATE that say nothing about the row (its manual, appendix A): connection, our password,
# the database's name, transaction rollback (deadlock), resources, operator (shutdown), system error; and read-only.
AWAY_CLASSES = ("08", "28", "3D", "40", "53", "57", "58", "25006")


#: Of these, what only the operator can mend: our name or password, the database's name.
WRONG_CLASSES = ("28", "3D")


class RowRefused(GearboxError):
    """The database is up and refuses this row; trying again is pointless. The log has the driver's words."""

    code = "row_refused"


def is_away(error: BaseException) -> bool:
    """Whether the database, rather than the statement, is at fault."""
    if isinstance(error, OperationalError | PoolTimeout | OSError):  # TimeoutError is an OSError
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return error.connection_invalidated or state.startswith(AWAY_CLASSES)


def is_misconfigured(error: BaseException) -> bool:
    """Whether the database behind a StoreUnavailable is there, and turns us away."""
    original = getattr(error.__cause__, "orig", None) or error.__cause__
    return str(getattr(original, "sqlstate", None) or "").startswith(WRONG_CLASSES)


@contextmanager
def guard(doing: str) -> Iterator[None]:
    """Turn the drivers' ways of being away into StoreUnavailable; every other error passes as it is."""
    try:
        yield
    except GearboxError:
        raise
    except Exception as error:
        if not is_away(error):
            raise
        raise StoreUnavailable(f"the database is away while {doing}: {cause(error)}") from error


def cause(error: BaseException) -> str:
    """The driver's own words, first line only; parameters are never part of it (`hide_parameters`)."""
    original = getattr(error, "orig", None) or error
    lines = str(original).splitlines() or [type(original).__name__]
    return f"{type(original).__name__}: {lines[0]}"
