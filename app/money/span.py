"""`7d`, `yesterday`, `2026-11-01`: spans of time as people write them. Pure; days are days in UTC.

A day named as `until` is included as a whole, as people mean it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from router.errors import ConfigError

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY = timedelta(days=1)


def span(since: str, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    """[start, end) in UTC.

    Args:
        since: `7d`, `24h`, `today`, `yesterday`, a date or a time with zone; `yesterday` and a bare date alone, without
            `until`, mean that day alone (`yesterday`) or from that day on (a date).
        until: the same words; None = now.
        now: aware.

    Raises:
        ConfigError: a word that is none of these, or an end before its start.
    """
    start, whole_day = _moment(since, now, "--since")
    end = now + timedelta(seconds=1)
    if until is not None:
        end, day = _moment(until, now, "--until")
        end = end + _DAY if day else end
    elif whole_day and since.strip().lower() == "yesterday":
        end = start + _DAY
    if end <= start:
        raise ConfigError(f"--until {until!r} is not after --since {since!r}")
    return start, end


def since(text: str | None, now: datetime) -> datetime | None:
    """From when on, in the same words; None = from the beginning.

    Raises:
        ConfigError: a word that is none of these.
    """
    return None if text is None else _moment(text, now, "--since")[0]


def _moment(text: str, now: datetime, option: str) -> tuple[datetime, bool]:
    """(the moment, whether it names a day)."""
    word = text.strip().lower()
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if word in {"today", "yesterday"}:
        return midnight - (_DAY if word == "yesterday" else timedelta()), True
    if ago := _AGO.fullmatch(word):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}), False
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"{option} {text!r} is no time: write 7d, 24h, today, yesterday or 2026-11-01") from None
    day = len(word) == len("2026-11-01")
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment), day
