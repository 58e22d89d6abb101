"""`gearbox skills profile`: a recording or the store -> a skill profile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from app.commands.skills_show import show_profile
from app.config import plan as plans
from app.config.environment import Environment
from app.lab.progress import progress_bar
from app.wiring_models import open_caller
from cascade.lab.embeddings import CachedEmbedder
from cascade.profiling.build import About, build
from cascade.profiling.critics import CriticRound
from cascade.profiling.findings import Sample
from cascade.profiling.journal import Journal
from cascade.profiling.profile_file import load_profile, save_profile
from cascade.profiling.recorded import CRITIC, recorded_findings, texts_of
from cascade.profiling.sampling import samples_of, spread
from cascade.recordings import load
from router.embedding import SentenceTransformerEmbedder
from router.errors import ConfigError
from router.pricing import Usage, nanousd_to_usd, usd_to_nanousd
from storage.history.store import SqlHistory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from app.config.plan import Plan
    from cascade.profiling.critics import Progress as Done
    from cascade.profiling.findings import Finding
    from cascade.purse import Purse
    from router.domain import Tier

#: SOURCE for what this installation has stored.
STORE = "store"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for.

    `critic` None = recorded for a recording, the top tier for the store. `questions` bounds how many questions a
    critic tier is shown, `budget_usd` what it may cost.
    """

    source: str
    out: Path
    split: str | None = None
    critic: str | None = None
    into: Path | None = None
    models: tuple[str, ...] = ()
    questions: int = 200
    budget_usd: float = 1.0
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """The findings, the questions' texts by id, and who the critic was."""

    findings: Sequence[Finding]
    texts: Mapping[str, str]
    critic: str
    finished: bool = True


def run(wanted: Wanted) -> int:
    """Make the profile and print it; 1 where the critic stopped early (run it again to go on).

    Raises:
        ConfigError: no such source, split, model, tier or profile, or nothing usable was found.
    """
    console = Console(stderr=True, highlight=False)
    environment, variables = Environment.read()
    plan = plans.read(wanted.config, environment, variables)
    into = load_profile(wanted.into) if wanted.into else None
    found = _found(wanted, plan, console)
    name = plan.config.embedding.model
    embedder = CachedEmbedder(_embedder(plan))
    about = About(wanted.out.stem, wanted.source, found.critic, name)
    made = save_profile(build(about, found.findings, found.texts, embedder, into=into), wanted.out)
    show_profile(made, Console(highlight=False))
    lines = f"config: `policy: {{skills: {{profile: {wanted.out}}}}}`"
    console.print(f"written to {wanted.out} (revision {made.revision}); {lines}", soft_wrap=True, markup=False)
    return 0 if found.finished else 1


def _found(wanted: Wanted, plan: Plan, console: Console) -> _Found:
    if wanted.source == STORE:
        samples, texts = asyncio.run(_stored(wanted, plan))
        return _criticised(wanted, plan, samples, texts, console)
    recording = load(Path(wanted.source), wanted.models or None)
    queries = recording.of_split(wanted.split)
    if wanted.critic in {None, CRITIC}:
        return _Found(recorded_findings(recording, queries), texts_of(queries), CRITIC)
    chosen = spread(queries, wanted.questions)
    return _criticised(wanted, plan, samples_of(recording, chosen), texts_of(chosen), console)


def _criticised(
    wanted: Wanted, plan: Plan, samples: Sequence[Sample], texts: Mapping[str, str], console: Console
) -> _Found:
    """What a critic tier says of the samples, within the budget."""
    if wanted.critic == CRITIC:
        raise ConfigError("--critic recorded reads a recording's grades; the store needs a tier as its critic")
    tier = _tier(plan, wanted.critic)
    journal = Journal(wanted.out.with_name(f"{wanted.out.name}.journal.jsonl"), tier.name)
    budget = usd_to_nanousd(wanted.budget_usd)
    console.print(
        f"{len(samples)} answers, critic {tier.name}, budget {wanted.budget_usd:g} USD, of which "
        f"{nanousd_to_usd(journal.spent_nanousd):.4f} are spent"
    )
    done = asyncio.run(_round(plan, tier, journal.purse(budget), journal, samples))
    findings = [finding for sample in samples if (finding := journal.finding(sample)) is not None]
    if done.unusable:
        console.print(f"{done.unusable} replies of the critic were unusable and are left out")
    if done.stopped:
        console.print(f"stopped after {done.done} of {done.total}: {done.stopped}; run the same command again to go on")
    elif done.missed:
        console.print(f"the critic failed on {done.missed} answers; run the same command again to have them looked at")
    elif findings:
        journal.remove()
    return _Found(findings, texts, tier.name, finished=not (done.stopped or done.missed))


async def _round(plan: Plan, tier: Tier, purse: Purse, journal: Journal, samples: Sequence[Sample]) -> Done:
    async with AsyncExitStack() as stack:
        caller = open_caller(plan, stack)
        with progress_bar() as tell:
            return await CriticRound(caller, tier, purse, journal).run(
                samples, lambda done: tell("profiling", done.done, done.total)
            )


async def _stored(wanted: Wanted, plan: Plan) -> tuple[list[Sample], dict[str, str]]:
    history = await SqlHistory.open(plan.config.store.url.get_secret_value())
    try:
        rows = await history.answered(wanted.questions * len(plan.ladder.tiers))
    finally:
        await history.aclose()
    kept = [row for row in rows if not wanted.models or row["model"] in wanted.models]
    if not kept:
        raise ConfigError("the store holds no answers with their texts to profile")
    return [_sample(row) for row in kept], {row["id"]: row["question"] for row in kept}


def _sample(row: Mapping[str, Any]) -> Sample:
    known = row["prompt_tokens"] is not None
    usage = Usage(row["prompt_tokens"], row["completion_tokens"] or 0) if known else None
    return Sample(row["id"], row["question"], "", row["model"], row["answer"], usage)


def _tier(plan: Plan, name: str | None) -> Tier:
    tiers = {tier.name: tier for tier in plan.ladder.tiers}
    if name is None:
        return plan.ladder.tiers[-1]
    if name not in tiers:
        raise ConfigError(f"--critic: there is no tier {name!r}; there are: {', '.join(tiers)}, recorded")
    return tiers[name]


def _embedder(plan: Plan) -> SentenceTransformerEmbedder:
    if plan.config.embedding.api_base is not None:
        raise ConfigError(
            "profiling embeds thousands of texts and does so with a local model; set embedding.model only"
        )
    return SentenceTransformerEmbedder(plan.config.embedding.model)
