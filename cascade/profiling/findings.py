"""The words of profiling: what a critic is shown, and what it found.

The law of this file: frozen records over the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.pricing import Usage


@dataclass(frozen=True, slots=True)
class Sample:
    """One model's answer to one question; `reference` "" = none is known. `text` is the question as it is embedded."""

    question_id: str
    text: str
    reference: str
    model: str
    answer: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Which skills an answer demonstrated and which it lacked: phrase -> criticality, more than 0 and at most 1."""

    question_id: str
    model: str
    demonstrated: Mapping[str, float]
    missing: Mapping[str, float]
    usage: Usage | None = None

    @property
    def required(self) -> dict[str, float]:
        """Everything the question required of this model: what it showed and what it lacked."""
        return {**self.demonstrated, **self.missing}
