"""Migrates the database named on the command line, at the moment its standard input closes. Run by a test."""

from __future__ import annotations

import asyncio
import sys

from storage.history.store import SqlHistory


async def main():
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    history = await SqlHistory.open(sys.argv[1])
    await history.ping()
    await history.aclose()


asyncio.run(main())
