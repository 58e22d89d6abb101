"""Small words for tests of decisions: tiers, runs, attempts and fakes of the ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router.domain import (
    Answer,
    Attempt,
    Budget,
    Deployment,
    Evidence,
    ModelFacts,
    Neighbour,
    Request,
    Run,
    Tier,
    Verdict,
    Wishes,
)
from router.ports import Reply
from router.pricing import Price, Rates, Usage, per_mtok

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PRICE = Price(Rates(per_mtok(1), per_mtok(10)))
NO_WISHES = Wishes()
USAGE = Usage(10, 5)
NAMES = ("small", "medium", "large")


def tier(name: str, prior: float = 0.5, deployments: int = 1, judge: str = "", **facts: Any) -> Tier:
    made = tuple(
        Deployment(f"{name}/{place}", f"openai/{name}-model", PRICE, ModelFacts(**facts))
        for place in range(deployments)
    )
    return Tier(name, made, prior, judge or name)


def ladder(*priors: float) -> tuple[Tier, ...]:
    names = NAMES if len(priors) == len(NAMES) else tuple(f"t{place}" for place in range(len(priors)))
    judges = (*names[1:2], *names[1:]) if len(names) > 1 else names
    return tuple(tier(name, prior, judge=judge) for name, prior, judge in zip(names, priors, judges, strict=True))


LADDER = ladder(0.5, 0.7, 0.9)


def run(tiers: tuple[Tier, ...] = LADDER, **more: Any) -> Run:
    return Run(**{"ladder": tiers, "top": tiers[-1].name, **more})


def near(similarity: float, **labels: float) -> Neighbour:
    return Neighbour("q", similarity, {f"openai/{name}-model": label for name, label in labels.items()})


def evidence(*neighbours: Neighbour, size: int = 100) -> Evidence:
    return Evidence(tuple(neighbours), size)


def body(text: str = "4", **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": text, **message}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}


def attempt(name: str, verdict: Verdict = Verdict.UNJUDGED, **more: Any) -> Attempt:
    answer = None if verdict is Verdict.ERROR else Answer(body())
    by = {Verdict.VALID: "judge:x", Verdict.INVALID: "judge:x", Verdict.ABSTAINED: "answer"}.get(verdict, "")
    return Attempt(**{"tier": name, "why": "", "answer": answer, "verdict": verdict, "verdict_by": by, **more})


def budget(cap: int | None, judge: int = 0, **asks: int) -> Budget:
    return Budget(cap, 0, asks, judge)


def request(policy: str = "llm-at", wishes: Wishes = NO_WISHES, **body: Any) -> Request:
    messages = [{"role": "user", "content": "What is 2 + 2?"}]
    return Request("r", 0.0, {"model": "llm-at", "messages": messages, **body}, policy, "What is 2 + 2?", wishes=wishes)


class Script:
    """A `ChatModel` that does what it is told, call by call; the last instruction repeats."""

    def __init__(self, *steps: Reply | Exception | Callable[..., Any]) -> None:
        self.steps = list(steps)
        self.calls: list[Any] = []

    async def chat(self, call: Any, live: Any = None) -> Reply:
        self.calls.append(call)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        if callable(step):
            return await step(call, live)
        return step

    async def aclose(self) -> None:
        """Nothing to close."""


def reply(text: str = "4", usage: Usage | None = USAGE, chunks: Sequence[Any] = ()) -> Reply:
    return Reply(body(text), tuple(chunks), usage, 0.1, None)


class Ear:
    """A `Listener` that remembers what it heard."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.events: list[Any] = []

    async def progress(self, note: str) -> None:
        self.notes.append(note)

    async def chunk(self, event: Any) -> None:
        self.events.append(event)
