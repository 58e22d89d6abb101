"""`gearbox calibrate`: a recording's graded confidences -> P(wrong) by margin, for `two-tier`'s isotonic variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.lab.progress import note
from app.observe.logs import configure
from cascade.curve_file import save_curves
from cascade.margins import MEASURES
from cascade.recordings import load
from router.calibration import fit_curve
from router.errors import ConfigError
from router.margins_state import MIN_LABELLED

if TYPE_CHECKING:
    from pathlib import Path

    from cascade.recordings import Query, Recording
    from router.margins_state import Curve, Labelled, Series


def run(folder: Path, *, split: str | None, measure: str, out: Path) -> None:
    """Fit and write.

    Raises:
        ConfigError: a broken recording, an unknown split or measure, or too few graded answers with a confidence.
    """
    configure("warning", "console")
    if measure not in MEASURES:
        raise ConfigError(f"--measure {measure}: there are {', '.join(MEASURES)}")
    recording = load(folder)
    curves = fitted(recording, recording.of_split(split), measure)
    if not curves:
        raise ConfigError(f"{folder}: no model has {MIN_LABELLED} graded answers with a confidence there")
    save_curves(curves, f"{recording.name}{f' {split}' if split else ''}", out)
    for (model, _), curve in curves.items():
        ends = f"{curve.blocks[0].p_wrong:.2f} to {curve.blocks[-1].p_wrong:.2f}"
        note(f"{model}: {curve.labelled:,} answers, P(wrong) from {ends} in {len(curve.blocks)} steps")
    note(f"written to {out}; config: `policy: {{two-tier: {{calibration: isotonic, curves: {out}}}}}`")


def fitted(recording: Recording, queries: tuple[Query, ...] | list[Query], measure: str) -> dict[Series, Curve]:
    """(model, measure) -> its curve, of each model with enough graded confidences. The grades are read here."""
    found = {}
    for model in recording.answers:
        labelled = _labelled(recording, model, queries)
        if len(labelled) >= MIN_LABELLED:
            found[model, measure] = fit_curve(labelled, sorted(margin for margin, _ in labelled))
    return found


def _labelled(recording: Recording, model: str, queries: tuple[Query, ...] | list[Query]) -> list[Labelled]:
    answers = (recording.answers[model].get(query.id) for query in queries)
    return [
        (answer.confidence, float(answer.correct))
        for answer in answers
        if answer is not None and answer.confidence is not None and answer.correct is not None
    ]
