"""The numbers of `two-tier` and `skills` for `bench_replay`: thresholds fitted on train or learnt, areas, profiles."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from app.lab.calibrate import fitted as fitted_curves
from cascade.curve_file import save_curves
from cascade.lab.calibration import signals
from cascade.lab.curves import budget_curve
from cascade.margins import FIRST_TOKEN
from cascade.policies import registry
from cascade.profiling.build import About, build
from cascade.profiling.profile_file import save_profile
from cascade.profiling.recorded import CRITIC, recorded_findings, texts_of
from cascade.replay import replay, stream

if TYPE_CHECKING:
    from cascade.lab.embeddings import CachedEmbedder
    from cascade.lab.score import Row
    from cascade.lab.stream import Stream
    from cascade.recordings import Recording

SHARES = (0.25, 0.5, 0.75)
#: Least accuracy in percent, by share of the way between the two costs: fitted on train, learnt on the stream.
LEAST = {0.25: (79.9, 79.7), 0.5: (84.9, 84.6), 0.75: (87.3, 86.9)}
#: How many points a weak signal may lie below random mixing.
BELOW_MIXING = 1.5
LADDERS = ("default", "llama", "mistral")


def two_tier(recording: Recording) -> int:
    """Accuracy at three budgets, fitted and learnt, beside random mixing; how many numbers were missed."""
    print(
        "| ladder | budget | fitted on train: right %, USD | learnt on the stream: right %, USD | mixing % | reached |"
    )
    print("|---|---|---|---|---|---|")
    missed = 0
    for ladder in LADDERS:
        chosen = stream(recording, ladder, split="test")
        low, high = _ends(chosen)
        for share in SHARES:
            fitted = _one(chosen, {"threshold": _fitted(recording, ladder, share)})
            learnt = _one(chosen, {"budget_share": share})
            mixed = 100 * ((low.accuracy or 0) + share * ((high.accuracy or 0) - (low.accuracy or 0)))
            good = _reached(ladder, share, fitted, learnt, mixed)
            missed += not good
            told = f"{_told(fitted)} | {_told(learnt)} | {mixed:.1f} | {'yes' if good else '**no**'}"
            print(f"| {ladder} | {share:.0%} | {told} |")
    print()
    return missed


def isotonic(recording: Recording) -> None:
    """The isotonic variant: curves fitted on train, aiming at what the fitted threshold of each budget scores there."""
    print("| ladder | budget | aim % | train's curve: right %, USD, share of the way | learning alone: right %, USD |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.json"
        save_curves(fitted_curves(recording, recording.of_split("train"), FIRST_TOKEN), "train", path)
        for ladder in LADDERS:
            fit, chosen = (stream(recording, ladder, split=split) for split in ("train", "test"))
            low, high = _ends(chosen)
            for share in SHARES:
                aim = _one(fit, {"threshold": _fitted(recording, ladder, share)}).accuracy or 0.0
                wanted = {"calibration": "isotonic", "target_accuracy": aim}
                row, alone = _one(chosen, {**wanted, "curves": str(path)}), _one(chosen, wanted)
                way = (row.cost_nanousd - low.cost_nanousd) / (high.cost_nanousd - low.cost_nanousd)
                print(f"| {ladder} | {share:.0%} | {100 * aim:.1f} | {_told(row)}, {way:.0%} | {_told(alone)} |")
    print()


def areas(recording: Recording) -> None:
    """The normalised area under accuracy against budget, and how good the signal is."""
    print("| ladder | normalised area | random mixing | gain in points | area under the signal's ROC curve |")
    print("|---|---|---|---|---|")
    for ladder in LADDERS:
        chosen = stream(recording, ladder, split="test")
        curve = budget_curve(chosen, {}, _ends(chosen))
        signal = signals(recording, _one(chosen, {}))[0]
        if curve is not None:
            gain = 100 * (curve.area - curve.mixed_area)
            weak = ", weak" if signal.weak else ""
            areas_told = f"{curve.area:.4f} | {curve.mixed_area:.4f} | {gain:+.1f}"
            print(f"| {ladder} | {areas_told} | {signal.auc or 0:.2f}{weak} |")
    print()


def skills(recording: Recording, embedder: CachedEmbedder) -> int:
    """Profiled on train without a critic, scored on test; how many numbers were missed."""
    print("| ladder | policy | right % | USD |")
    print("|---|---|---|---|")
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = _profile(recording, embedder, Path(folder))
        for ladder in ("default", "pool"):
            chosen = stream(recording, ladder, split="test")
            policies = [registry.build("skills", {"profile": path})]
            policies += [registry.build(f"always:{tier.name}") for tier in chosen.tiers]
            found[ladder] = replay(chosen, policies, embedder)
            for row in found[ladder]:
                print(f"| {ladder} | {row.policy} | {100 * (row.accuracy or 0):.2f} | {row.cost_nanousd / 1e9:.3f} |")
    print()
    mine, *singles = found["default"]
    pooled, *each = found["pool"]
    cheap = mine.cost_nanousd <= 0.8 * singles[-1].cost_nanousd and (mine.accuracy or 0) >= 0.7  # noqa: PLR2004 - the issue's
    better = (pooled.accuracy or 0) > max(row.accuracy or 0 for row in each)
    return (not cheap) + (not better)


def _profile(recording: Recording, embedder: CachedEmbedder, folder: Path) -> str:
    queries = recording.of_split("train")
    about = About(recording.name, f"{recording.name} train", CRITIC, embedder.model)
    made = build(about, recorded_findings(recording, queries), texts_of(queries), embedder, into=None)
    save_profile(made, folder / "skills.json")
    return str(folder / "skills.json")


def _fitted(recording: Recording, ladder: str, share: float) -> float:
    """The confidence below which the budget sends a train query on; no label is looked at."""
    chosen = stream(recording, ladder, split="train")
    low, high = _ends(chosen)
    told = recording.answers[chosen.models[0]]
    margins = sorted(told[query.id].confidence or 0.0 for query in chosen.queries)
    return margins[int(share * (1 - low.cost_nanousd / high.cost_nanousd) * len(margins))]


def _ends(chosen: Stream) -> tuple[Row, Row]:
    """The lowest and the top model alone."""
    names = (chosen.tiers[0].name, chosen.tiers[-1].name)
    low, high = replay(chosen, [registry.build(f"always:{name}") for name in names])
    return low, high


def _one(chosen: Stream, settings: dict[str, float | str]) -> Row:
    (row,) = replay(chosen, [registry.build("two-tier", settings)])
    return row


def _told(row: Row) -> str:
    return f"{100 * (row.accuracy or 0):.2f}, {row.cost_nanousd / 1e9:.3f}"


def _reached(ladder: str, share: float, fitted: Row, learnt: Row, mixed: float) -> bool:
    if ladder == LADDERS[0]:
        least_fitted, least_learnt = LEAST[share]
        return 100 * (fitted.accuracy or 0) >= least_fitted and 100 * (learnt.accuracy or 0) >= least_learnt
    return 100 * (learnt.accuracy or 0) >= mixed - BELOW_MIXING
