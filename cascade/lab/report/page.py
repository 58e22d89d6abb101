"""The report: one HTML file, without a script and without anything to fetch.

The law of this file: pure; results -> HTML text, the same for the same results.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from cascade.lab.calibration import signals
from cascade.lab.report import tables
from cascade.lab.report.claims import calibration_plot
from cascade.lab.report.findings import findings
from cascade.lab.report.plane import key, plane
from cascade.lab.report.starts import starts_chart, tier_key
from cascade.lab.report.style import CSS
from router import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.lab.calibration import Signal
    from cascade.lab.report.results import Result

_TERMS = (
    ("right", "the served answer equals the reference, by the recording's own grading"),
    ("95 % interval", "where the true value lies in 95 of 100 such samples of queries (Wilson; differences: paired)"),
    ("cost", "what the recorded tokens cost at the recording's prices: answers, plus every judge's call"),
    ("random mixing", "a share of the queries, drawn by lot, goes to the dearest model, the rest to the cheapest"),
    ("oracle", "knows the grades and takes the cheapest right answer: nobody can do better, nobody can build it"),
    ("Pareto front", "policies that no other policy here beats in both cost and accuracy"),
)


def page(results: Sequence[Result]) -> str:
    """The whole file."""
    title = "Gearbox replay: " + "; ".join(result.title for result in results)
    body = "".join(_section(result) for result in results)
    terms = "".join(f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>" for word, meaning in _TERMS)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body>"
        f"<h1>What routing would have cost, and how right it would have been</h1>"
        f'<p class="soft">Policies of Gearbox {escape(__version__)}, replayed over recorded answers of real models: '
        "nothing "
        "was generated for this report, and no policy saw a grade.</p>"
        f'<main>{body}<h2>Words</h2><dl class="terms">{terms}</dl></main></body></html>\n'
    )


def _section(result: Result) -> str:
    """One recording and ladder."""
    told = "".join(f'<li class="{found.kind}">{escape(found.text)}</li>' for found in findings(result))
    parts = (
        f"<h2>{escape(result.title)}</h2>",
        f'<p class="soft">{len(result.stream.queries):,} queries.</p>',
        f'<h3>In short</h3><ul class="findings">{told}</ul>',
        f"<h3>Cost and accuracy</h3>{plane(result)}{key(result)}{tables.overview(result)}",
        _titled("What it buys", tables.money(result)),
        _titled("By task", tables.by_task(result)),
        _titled("Where policies start", _starts(result)),
        _titled("Do the estimates come true?", _calibration(result)),
        _titled("The judges", tables.judges(result)),
        f"<h3>Settings, prices and priors</h3>{tables.settings(result)}{tables.models(result)}",
        f"<h3>What these numbers cannot tell</h3>{_caveats(result)}",
    )
    return "".join(parts)


def _titled(title: str, inside: str) -> str:
    return f"<h3>{escape(title)}</h3>{inside}" if inside else ""


def _starts(result: Result) -> str:
    learning = [row for row in result.routers if sum(count > 0 for count in row.starts.values()) > 1]
    if not learning:
        return ""
    tiers = [tier.name for tier in result.stream.tiers]
    charts = "".join(f"<figure>{starts_chart(row, tiers)}</figure>" for row in learning)
    return f'{tier_key(tiers)}<div class="charts">{charts}</div>'


def _calibration(result: Result) -> str:
    found: dict[tuple[str, str], Signal] = {}
    for row in result.routers:
        for signal in signals(result.stream.recording, row):
            found.setdefault((signal.kind, signal.model or signal.policy), signal)
    if not found:
        return ""
    intro = (
        "Each point is a tenth of the answers: left to right what was claimed beforehand, bottom to top the share "
        "that came "
        "out right. On the dashed diagonal the claim comes true; a flat row of points says nothing about the answer."
    )
    charts = "".join(f"<figure>{calibration_plot(each)}{_caption(each)}</figure>" for each in found.values())
    return f'<p>{intro}</p><div class="charts">{charts}</div>'


def _caption(signal: Signal) -> str:
    auc = "unknown" if signal.auc is None else f"{signal.auc:.2f}"
    weak = ": a weak signal" if signal.weak else ""
    return (
        f"<figcaption>{escape(signal.policy)}, {len(signal.claims):,} answers. Area under the ROC curve {auc} (0.5 = "
        f"chance){weak}; mean gap between claim and outcome {100 * signal.gap:.1f} points.</figcaption>"
    )


def _caveats(result: Result) -> str:
    recording = result.stream.recording
    judge = (
        "The judge is simulated: its verdicts are drawn by lot with a fixed rate for right and for wrong answers. A "
        "real judge "
        "errs more on some questions than on others, and more often in favour of a strong model; this report cannot "
        "show that."
        if recording.judge
        else "The judges' verdicts are recorded; the free checks (schema, truncation, refusal) were not run."
    )
    size = len(result.stream.queries)
    half = 100 * 0.98 / max(size, 1) ** 0.5
    noise = (
        f"With {size:,} queries a single accuracy is known to about ±{half:.1f} points at most; smaller differences "
        "between policies may be chance, unless the paired interval above excludes zero."
    )
    said = f"<pre>{escape(recording.about.strip())}</pre>" if recording.about.strip() else ""
    about = f"<p>What the recording says of itself:</p>{said}" if said else ""
    money = (
        "Costs are list prices times recorded tokens: no discounts, no cached prompts, no retries. Your traffic is "
        "another stream of questions; `gearbox whatif` and `gearbox export` do the same on your own history."
    )
    return f"<p>{escape(noise)}</p><p>{escape(judge)}</p><p>{escape(money)}</p>{about}"
