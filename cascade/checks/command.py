"""`kind: command`: a program of the operator's gets the answer on its standard input and says what it thinks of it.

    exit 0 = valid · exit 1 = invalid · anything else = abstained; the first line it prints is the reason

The law of this file: an answer is text that anybody may have steered, so it never becomes an argument, no shell reads
it, and the program sees none of our environment (and so none of our keys). It runs in a process group of its own, which
is killed when it ends, when its time is up, and when nobody waits any more: nothing it started stays behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process, SubprocessStreamProtocol
from contextlib import suppress
from typing import TYPE_CHECKING

from cascade.checks.said import abstained, invalid, valid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.checks.said import Said
    from router.domain import Request

#: All a command sees of an environment.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
#: Of what it prints, this much is read; a command that prints more is waited for no longer.
MAX_OUTPUT_BYTES = 64 * 1024
#: How many commands run at once, all verifiers of one kind together; others wait within their time.
AT_ONCE = 8


class CommandCheck:
    """Runs one command; the words of `command` come from the configuration and never change."""

    def __init__(self, command: Sequence[str], turns: asyncio.Semaphore | None = None) -> None:
        self._command = tuple(command)
        self._turns = turns or asyncio.Semaphore(AT_ONCE)

    async def look(self, request: Request, text: str) -> Said:  # noqa: ARG002 - it gets the answer alone
        """Run it; whoever calls limits the time by cancelling."""
        async with self._turns:
            transport, process = await self._started()
            try:
                output = await _talk(process, text.encode(errors="replace"))
            finally:
                await _end(transport, process)
        return _said(process.returncode, output)

    async def _started(self) -> tuple[asyncio.SubprocessTransport, Process]:
        """As `asyncio.create_subprocess_exec`, which keeps the transport to itself; `_end` has to close it."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(limit=MAX_OUTPUT_BYTES, loop=loop),
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        return transport, Process(transport, protocol, loop)


async def _talk(process: Process, text: bytes) -> bytes:
    """Feed the program, read what it prints, and wait for its end."""
    feeding = asyncio.create_task(_feed(process, text))
    try:
        output = await _read(process)
        await process.wait()
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    return output


async def _feed(process: Process, text: bytes) -> None:
    if process.stdin is None:
        return
    # A program that has seen enough closes its input: that is its right.
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(text)
        await process.stdin.drain()
    process.stdin.close()


async def _read(process: Process) -> bytes:
    """What it prints until it ends its output; ValueError where that is too much."""
    output = bytearray()
    while process.stdout is not None and (part := await process.stdout.read(8192)):
        output += part
        if len(output) > MAX_OUTPUT_BYTES:
            raise ValueError(f"it printed more than {MAX_OUTPUT_BYTES} bytes")
    return bytes(output)


async def _end(transport: asyncio.SubprocessTransport, process: Process) -> None:
    """Kill what is left of its process group, close our ends of its pipes, and collect it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # Before it is waited for: asyncio waits for the pipes, too, and a full one or a grandchild may hold them open.
    transport.close()
    await asyncio.shield(process.wait())


def _said(code: int | None, output: bytes) -> Said:
    line = output.decode(errors="replace").strip().partition("\n")[0]
    match code:
        case 0:
            return valid(line or "the command says yes")
        case 1:
            return invalid(line or "the command says no")
        case _:
            return abstained(line or f"the command ended with {code}")
