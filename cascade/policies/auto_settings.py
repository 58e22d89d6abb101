"""The settings of `auto`: what a right answer is worth, and how far each kind of evidence is trusted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from cascade.margins import Scale, Tokens  # noqa: TC001 - the configuration's reader looks the types up
from cascade.policies.policy import check_shares


@dataclass(frozen=True, slots=True)
class AutoSettings:
    """One number decides how much is spent; the others say how evidence is read.

    `worth` is what a right answer is worth, in answers of the dearest tier this request may use; `worth_usd` the same
    in USD, for all requests alike. A request with `x-gearbox-quality` wants that P(right) as cheaply as possible
    instead. `waiting` is what each call costs beside its price, as a share (0..1) of a right answer's worth: somebody
    waits for it, so a call that hardly adds anything is not made, however cheap.

    `k` neighbours are looked at, and a label of theirs counts `neighbour_weight` (0..1, times the squared similarity)
    of an observation of this question itself. `judge_accepts_right` and `judge_accepts_wrong` say how often a judge
    accepts right and wrong answers, `verifier_accepts_wrong` how often an operator's verifier lets a wrong one pass.
    `margin` asks for log-probabilities, whose margins count once `curves` (a file of `gearbox calibrate`) or enough
    labels say what they mean. `profile` is a skill profile (`gearbox skills profile`) that takes the place of the
    tiers' prior accuracies.

    Where an answer was compared with none, a neighbouring tier is asked too now and then, so that something is learnt:
    as often as `second_opinions` (0..1) of what such answers cost pays for, and seldomer the more is known of that
    tier on similar questions.
    """

    worth: float = 5.0
    worth_usd: float | None = None
    waiting: float = 0.01
    k: int = 20
    neighbour_weight: float = 0.5
    judge_accepts_right: float = 0.91
    judge_accepts_wrong: float = 0.43
    verifier_accepts_wrong: float = 0.5
    margin: Literal["none"] | Tokens = "none"
    scale: Scale = "probability"
    curves: str | None = None
    profile: str | None = None
    second_opinions: float = 0.05

    def __post_init__(self) -> None:
        for name in ("worth", "worth_usd"):
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise ValueError(f"{name} is more than 0, not {value}")
        check_shares(self, "waiting", "neighbour_weight", "second_opinions")
        for name in ("judge_accepts_right", "judge_accepts_wrong", "verifier_accepts_wrong"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} lies between 0 and 1, not {getattr(self, name)}")
        if self.judge_accepts_right <= self.judge_accepts_wrong:
            raise ValueError("judge_accepts_right is more than judge_accepts_wrong: else a judge's yes means no")
        if self.k < 0:
            raise ValueError(f"k counts questions and is at least 0, not {self.k}")
        self._check_files()

    def _check_files(self) -> None:
        if self.curves is not None and (not self.curves.strip() or self.margin == "none"):
            raise ValueError("curves is the path of a file, and needs margin: first or mean")
        if self.profile is not None and not self.profile.strip():
            raise ValueError("profile is a path, not empty")
