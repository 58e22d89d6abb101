"""Where each conversation stands: who answered its last turn, how long it was, and whether its prompt cache is warm.

The law of this file: no text. It holds names, counts and times of the turns that outcomes tell it about, in this
process's memory; the store gives them back after a restart. A conversation is known by the session its client names,
within that client's key, and a tool loop by the ids of the calls whose results it brings, which need no session.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from router.domain import Conversation, Verdict
from router.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from router.domain import Attempt, Outcome, Request
    from router.ports import StoredTurn

#: Vendors keep a prompt cache for 5 to 10 minutes after its last use.
WARM_S = 300.0
#: How long a conversation is kept on its tier after its last turn.
REMEMBERED_S = 3600.0
#: Keys in memory: sessions, tool calls and requests together; the oldest go first.
MOST_KEYS = 100_000
#: Seconds that a request waits to hear of other workers' turns.
PATIENCE_S = 0.5
_TOOL_ROLES = frozenset({"tool", "function"})

_Key: TypeAlias = tuple[str, str, str]


@dataclass(slots=True)
class _Turn:
    """One answered turn of the request `id`; `answered_at` is seconds since the epoch.

    `lone`: nothing but its session leads to it, so it goes with that session's next turn.
    """

    id: str
    tier: str
    model: str
    tokens: int
    answer_tokens: int
    answered_at: float
    rejected: bool
    lone: bool = False


class TurnSource(Protocol):
    """Where other workers' turns are found: the store."""

    async def turn(self, key_id: str, session: str | None, calls: Sequence[str], since: float) -> StoredTurn | None:
        """See `ports.History`."""


class Conversations:
    """Request -> where its conversation stands, fed by outcomes.

    Args:
        warm_s: how long a prompt cache lives after its last use.
        remembered_s: how long a conversation is remembered at all.
        most_keys: how much is kept.
        clock: seconds since the epoch.
        elsewhere: the store, where other workers may have answered a turn; None = there are none.
    """

    def __init__(
        self,
        warm_s: float = WARM_S,
        remembered_s: float = REMEMBERED_S,
        most_keys: int = MOST_KEYS,
        clock: Callable[[], float] = time.time,
        elsewhere: TurnSource | None = None,
    ) -> None:
        self._warm_s = warm_s
        self._remembered_s = remembered_s
        self._most_keys = most_keys
        self._clock = clock
        self._turns: OrderedDict[_Key, _Turn] = OrderedDict()
        self._elsewhere = elsewhere

    @property
    def since(self) -> float:
        """Turns before this time (seconds since the epoch) are of no interest."""
        return self._clock() - self._remembered_s

    def load(self, turns: Iterable[StoredTurn]) -> None:
        """Take over what the store remembers, the oldest first."""
        for turn in sorted(turns, key=lambda turn: turn.answered_at):
            self._keep([("session", turn.key_id, turn.session)], _read_back(turn))

    async def find(self, request: Request) -> Conversation | None:
        """As `of`, with what other workers have answered since; the store away or slow, as far as this one knows."""
        calls, session = answered_calls(request.body), request.wishes.session
        if self._elsewhere is not None and (calls or session is not None):
            key_id = request.caller.key_id
            try:
                async with asyncio.timeout(PATIENCE_S):
                    turn = await self._elsewhere.turn(key_id, session, calls or (), self.since)
            except (StoreUnavailable, TimeoutError):
                turn = None
            if turn is not None:
                self._learn(_keys(key_id, session, calls), _read_back(turn))
        return self.of(request)

    def of(self, request: Request) -> Conversation | None:
        """Where this request's conversation stands; None where nothing is known of it or it is too long ago."""
        answered = answered_calls(request.body)
        keys = _keys(request.caller.key_id, request.wishes.session, answered)
        turn = next((self._turns[key] for key in keys if key in self._turns), None)
        if turn is None or turn.answered_at < self.since:
            return None
        age_s = max(self._clock() - turn.answered_at, 0.0)
        return Conversation(
            turn.tier,
            turn.model,
            tokens=turn.tokens,
            answer_tokens=turn.answer_tokens,
            age_s=age_s,
            warm=age_s <= self._warm_s,
            rejected=turn.rejected,
            tool_result=answered is not None,
        )

    def told(self, outcome: Outcome) -> None:
        """Remember the turn that was just answered."""
        served, request = outcome.served, outcome.request
        if served is None or served.answer is None:
            return
        keys: list[_Key] = [("call", request.caller.key_id, call) for call in made_calls(served)]
        turn = self._turn(request.id, served, lone=not keys)
        if request.wishes.session is not None:
            session = ("session", request.caller.key_id, request.wishes.session)
            former = self._turns.get(session)
            if former is not None and former.lone:
                self._turns.pop(_by_id(former.id), None)
            keys.append(session)
        if keys:
            self._keep([*keys, _by_id(request.id)], turn)

    def rejected(self, request_id: str) -> None:
        """A turn's answer was found to be wrong after it was served."""
        turn = self._turns.get(_by_id(request_id))
        if turn is not None:
            turn.rejected = True

    def _learn(self, keys: Sequence[_Key], turn: _Turn) -> None:
        """Take over what the store says of a turn, unless a newer one is known here; a no counts, whoever heard it."""
        for key in keys:
            known = self._turns.get(key)
            if known is not None and known.id == turn.id:
                known.rejected = known.rejected or turn.rejected
            elif known is None or known.answered_at < turn.answered_at:
                self._keep([key], turn)

    def _turn(self, id: str, served: Attempt, *, lone: bool) -> _Turn:  # noqa: A002 - the request's id
        usage = served.calls[-1].usage if served.calls else None
        answer_tokens = 0 if usage is None else usage.completion_tokens
        tokens = 0 if usage is None else usage.prompt_tokens + answer_tokens
        wrong = served.verdict in {Verdict.INVALID, Verdict.ABSTAINED}
        return _Turn(id, served.tier, served.model, tokens, answer_tokens, self._clock(), wrong, lone)

    def _keep(self, keys: Iterable[_Key], turn: _Turn) -> None:
        for key in keys:
            self._turns[key] = turn
            self._turns.move_to_end(key)
        while len(self._turns) > self._most_keys:
            self._turns.popitem(last=False)


def _keys(key_id: str, session: str | None, calls: Iterable[str] | None) -> list[_Key]:
    keys: list[_Key] = [("call", key_id, call) for call in calls or ()]
    return keys if session is None else [*keys, ("session", key_id, session)]


def _by_id(request_id: str) -> _Key:
    return ("request", "", request_id)


def _read_back(turn: StoredTurn) -> _Turn:
    tokens = turn.prompt_tokens + turn.completion_tokens
    return _Turn(turn.id, turn.tier, turn.model, tokens, turn.completion_tokens, turn.answered_at, turn.rejected)


def answered_calls(body: Mapping[str, Any]) -> list[str] | None:
    """The ids of the tool calls whose results end the conversation, the last one first; None = it ends otherwise."""
    found: list[str] | None = None
    for message in reversed(body.get("messages") or ()):
        if not isinstance(message, dict) or message.get("role") not in _TOOL_ROLES:
            break
        found = [] if found is None else found
        if isinstance(message.get("tool_call_id"), str):
            found.append(message["tool_call_id"])
    return found


def made_calls(served: Attempt) -> Iterator[str]:
    """The ids of the tool calls in any choice of an answer."""
    body = served.answer.body if served.answer else {}
    for choice in body.get("choices") or ():
        for call in (choice.get("message") or {}).get("tool_calls") or ():
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                yield call["id"]
