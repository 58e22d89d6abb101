"""`gearbox skills show`: the capability matrix as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from app.config import plan as plans
from app.config.environment import Environment
from cascade.policies.skills import SkillsSettings
from cascade.profiling.profile_file import as_json, load_profile
from router.errors import ConfigError
from router.skills import Count, average, capability

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from router.skill_lookup import SkillProfile
    from router.skills import ModelSkills

#: What an unprofiled model would be taken for; every model in a profile has been profiled.
_EVEN = 0.5


def show(path: Path | None, config: Path | None, console: Console, *, json: bool) -> int:
    """Print a profile: the one at `path`, else the configured one.

    Raises:
        ConfigError: there is none, or it is broken.
    """
    profile = load_profile(path or _configured(config))
    if json:
        told = {name: value for name, value in as_json(profile).items() if name not in {"vectors", "centres"}}
        console.print_json(data=told)
    else:
        show_profile(profile, console)
    return 0


def show_profile(profile: SkillProfile, console: Console) -> None:
    """Skills down, models across: C, its 90 % credible interval in points either way, and its number of instances."""
    weight = SkillsSettings().prior_weight
    console.print(
        f"{profile.name}, revision {profile.revision}: {len(profile.questions)} questions of {profile.source}, "
        f"critic {profile.critic}, {profile.criterion}; embedding {profile.embedding_model}",
        soft_wrap=True,
        markup=False,
    )
    for number, (model, skills) in enumerate(profile.models.items(), 1):
        console.print(f"  [{number}] {model}, {average(skills, _EVEN):.2f} over all", markup=False)
    table = Table("skill", "questions", *(f"[{number}]" for number in range(1, len(profile.models) + 1)))
    table.box, table.pad_edge = None, False
    for skill in profile.skills:
        needed = sum(skill in question.needs for question in profile.questions)
        table.add_row(skill, str(needed), *(_cell(skills, skill, weight) for skills in profile.models.values()))
    console.print(table)


def _cell(skills: ModelSkills, skill: str, weight: float) -> str:
    """C, half its interval's width, and the instances it rests on: `0.85±6 n86`."""
    if not skills.counts.get(skill, Count()).required:
        return "-"
    found = capability(skills, skill, _EVEN, weight)
    return f"{found.mean:.2f}±{(found.high - found.low) * 50:.0f} n{found.instances:g}"


def _configured(config: Path | None) -> Path:
    from pathlib import Path  # noqa: PLC0415 - only here

    environment, variables = Environment.read()
    plan = plans.read(config, environment, variables)
    path = plan.policy("skills").settings["profile"]
    if path is None:
        raise ConfigError("no profile is configured (policy.skills.profile) and none was named", param="skills.profile")
    return Path(path)
