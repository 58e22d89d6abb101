"""What a client has sent, as an error repeats it: in quotes, and no longer than anybody reads. Pure."""

from __future__ import annotations

import json

#: Characters of it that are shown.
SHOWN = 100


def quoted(text: str) -> str:
    """`"gpt-4o"`; cut with an ellipsis where it is long."""
    return json.dumps(text if len(text) <= SHOWN else f"{text[:SHOWN]}…", ensure_ascii=False)
