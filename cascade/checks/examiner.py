"""Has the operator's verifiers look at an answer, in the order they are configured, until one says no.

The law of this file: a verifier helps and never fails a request. One that is late, broken or away abstains, and its
reason says so.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from cascade.checks.said import Said, abstained, invalid, valid
from router.domain import Check, CheckOutcome, CheckResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cascade.checks.match import Match
    from cascade.checks.said import Look
    from router.domain import Attempt, Request

_log = structlog.get_logger("gearbox.verifiers")


@dataclass(frozen=True, slots=True)
class Verifier:
    """One configured verifier; `timeout_s` bounds its look at all choices of one answer."""

    name: str
    kind: Look
    match: Match
    replaces_judge: bool = False
    timeout_s: float = 5.0


class Examiner:
    """All verifiers of this server."""

    def __init__(self, verifiers: Sequence[Verifier], clock: Callable[[], float] = time.monotonic) -> None:
        self._verifiers = tuple(verifiers)
        self._clock = clock

    def checks(self, request: Request) -> tuple[Check, ...]:
        """Those that look at this request's answers."""
        return tuple(Check(each.name, each.replaces_judge) for each in self._fitting(request))

    async def examine(self, request: Request, attempt: Attempt) -> Attempt:
        """The attempt with what each said: invalid at the first no, valid where a yes replaces the judge."""
        results: list[CheckResult] = []
        accepted: CheckResult | None = None
        for verifier in self._fitting(request):
            result = await self._result(verifier, request, attempt)
            results.append(result)
            if result.outcome is CheckOutcome.INVALID:
                return _decided(attempt, results, Verdict.INVALID, result)
            if result.outcome is CheckOutcome.VALID and verifier.replaces_judge:
                accepted = accepted or result
        if accepted is not None:
            return _decided(attempt, results, Verdict.VALID, accepted)
        return replace(attempt, checks=(*attempt.checks, *results)) if results else attempt

    def _fitting(self, request: Request) -> list[Verifier]:
        return [verifier for verifier in self._verifiers if verifier.match.fits(request)]

    async def _result(self, verifier: Verifier, request: Request, attempt: Attempt) -> CheckResult:
        started = self._clock()
        said = await _in_time(verifier, request, attempt)
        return CheckResult(verifier.name, said.outcome, said.reason, self._clock() - started)


async def _in_time(verifier: Verifier, request: Request, attempt: Attempt) -> Said:
    try:
        async with asyncio.timeout(verifier.timeout_s):
            return await _of_all_choices(verifier.kind, request, attempt)
    except TimeoutError:
        return abstained(f"it took longer than {verifier.timeout_s:g} s")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it abstains; the log has it in full
        _log.warning("a verifier failed", verifier=verifier.name, request=request.id, exc_info=True)
        return abstained(f"it failed ({type(error).__name__})")


async def _of_all_choices(kind: Look, request: Request, attempt: Attempt) -> Said:
    """The first no; a yes where all choices get one; else the first abstention."""
    said: list[Said] = []
    for text in _texts(attempt):
        one = abstained("a tool call has no text to look at") if text is None else await kind.look(request, text)
        if one.outcome is CheckOutcome.INVALID:
            return invalid(one.reason)
        said.append(one)
    hesitant = [one for one in said if one.outcome is CheckOutcome.ABSTAINED]
    if hesitant:
        return hesitant[0]
    return valid(said[0].reason) if said else abstained("there is no answer to look at")


def _texts(attempt: Attempt) -> list[str | None]:
    """Each choice's text; None for one that says nothing in words."""
    choices = attempt.answer.body.get("choices") or () if attempt.answer else ()
    contents = [(choice.get("message") or {}).get("content") for choice in choices]
    return [content if isinstance(content, str) and content else None for content in contents]


def _decided(attempt: Attempt, results: Sequence[CheckResult], verdict: Verdict, by: CheckResult) -> Attempt:
    return replace(
        attempt,
        checks=(*attempt.checks, *results),
        verdict=verdict,
        verdict_by=f"verifier:{by.verifier}",
        reason=by.reason,
    )
