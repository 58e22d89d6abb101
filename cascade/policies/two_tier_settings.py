"""The settings of `two-tier`: where the paper is silent, Gearbox's choices are named here. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from cascade.margins import Scale, Tokens  # noqa: TC001 - the configuration's reader looks the types up
from cascade.policies.policy import check_shares


@dataclass(frozen=True, slots=True)
class TwoTierSettings:
    """How unsure is too unsure.

    `small` and `large` name tiers (None = the lowest and the highest this request may use). `margin` looks at the
    first token or the mean over all, `scale` at probabilities (default) or their logarithms.

    The threshold is, in this order: `threshold`, a fixed margin in the measure's scale; with `calibration: isotonic`,
    once enough answers have labels, or from the first request on by `curves` (a file of `gearbox calibrate`), the
    cheapest that meets `target_accuracy`; else the paper's running quantile for
    `budget_share`, 0..1 of the way from always-small's to always-large's cost, over a `horizon` of so many requests
    after which a new pot begins; the first `warm_up` answers are never escalated for their margin.

    Where an upstream gives no log-probabilities: `fallback` judge, or agreement of `samples` answers in all, drawn at
    `sample_temperature`.
    """

    small: str | None = None
    large: str | None = None
    margin: Tokens = "first"
    scale: Scale = "probability"
    threshold: float | None = None
    calibration: Literal["none", "isotonic"] = "none"
    target_accuracy: float = 0.8
    curves: str | None = None
    budget_share: float = 0.5
    horizon: int = 1000
    warm_up: int = 20
    fallback: Literal["judge", "agreement"] = "judge"
    samples: int = 5
    sample_temperature: float = 0.7

    def __post_init__(self) -> None:
        check_shares(self, "budget_share", "target_accuracy")
        if self.threshold is not None and not 0 <= self.threshold < inf:
            raise ValueError(f"threshold is a margin of at least 0, not {self.threshold}")
        if self.curves is not None and (not self.curves.strip() or self.calibration != "isotonic"):
            raise ValueError("curves is the path of a file, for calibration: isotonic")
        if self.horizon < 1:
            raise ValueError(f"horizon counts requests and is at least 1, not {self.horizon}")
        if self.warm_up < 0:
            raise ValueError(f"warm_up counts requests and is at least 0, not {self.warm_up}")
        if not 2 <= self.samples <= 64:  # noqa: PLR2004 - one sample agrees with nobody
            raise ValueError(f"samples counts answers from 2 to 64, not {self.samples}")
        if not 0 < self.sample_temperature <= 2:  # noqa: PLR2004 - OpenAI's range
            raise ValueError(f"sample_temperature is more than 0 and at most 2, not {self.sample_temperature}")
        if self.small is not None and self.small == self.large:
            raise ValueError(f"small and large are two tiers, not both {self.small!r}")
