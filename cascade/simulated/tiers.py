"""How far each simulated tier reaches, and what it says within and beyond its reach.

Pure. Luck is a hash of seed, tier and question: the same question always meets the same fate.
"""

import math

from cascade.simulated.chance import fraction
from cascade.simulated.tasks import Task

REACH = {"small": 0.35, "medium": 0.65, "large": 0.92}
BAND = 0.08
UNKNOWN_DIFFICULTY = 1.0
ABSTAINS = 0.6
_STEEPNESS = 8.0


def knows(tier: str, difficulty: float, *luck: object) -> bool:
    """Whether the tier gets a task of that difficulty right: its reach, blurred by +-BAND."""
    shift = (2 * fraction("reach", tier, *luck) - 1) * BAND
    return difficulty <= REACH[tier] + shift


def attempt(tier: str, task: Task, *luck: object) -> str:
    """The tier's final answer: the right one within its reach, a believable slip beyond."""
    if knows(tier, task.difficulty, *luck):
        return task.answer
    unit = fraction("slip", tier, *luck)
    return task.wrongs[int(unit * unit * len(task.wrongs))]


def abstains(tier: str, difficulty: float, *luck: object) -> bool:
    """Whether a tier that may say "Abstain" does: only beyond its reach, and not always."""
    return not knows(tier, difficulty, *luck) and fraction("abstain", tier, *luck) < ABSTAINS


def confidence(tier: str, difficulty: float, *luck: object) -> float:
    """The first token's probability, in (0.36, 0.99): high well within reach, low beyond."""
    distance = REACH[tier] - difficulty + (2 * fraction("logprob", tier, *luck) - 1) * BAND
    return 0.36 + 0.63 / (1 + math.exp(-_STEEPNESS * distance))
