"""The report: one file, well formed, and it says what a reader has to know."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from lab_support import SIMULATED, FakeEmbedder

from cascade.lab.embeddings import CachedEmbedder
from cascade.lab.report.findings import findings
from cascade.lab.report.labels import place
from cascade.lab.report.page import page
from cascade.lab.report.results import Result
from cascade.lab.report.svg import Scale
from cascade.lab.report.verdicts import verdict
from cascade.policies.always import Always
from cascade.policies.baselines import Agreement, BottomUp, RandomMix
from cascade.policies.llm_at import LlmAt, LlmAtSettings
from cascade.policies.skills import Skills, SkillsSettings
from cascade.profiling.build import About, build
from cascade.profiling.profile_file import save_profile
from cascade.profiling.recorded import recorded_findings, texts_of
from cascade.recordings import load
from cascade.replay import Oracle, replay, stream

TIERS = ("small", "medium", "large")


@pytest.fixture(scope="module")
def recording():
    return load(SIMULATED)


@pytest.fixture
def results(recording, tmp_path):
    def make(*policies, **choice):
        chosen = stream(recording, **choice)
        embedder = CachedEmbedder(FakeEmbedder(), tmp_path / "e.sqlite")
        always = [Always(tier.name) for tier in chosen.tiers]
        return Result(chosen, tuple(replay(chosen, [*always, *policies, Oracle()], embedder)))

    return make


class Balanced(HTMLParser):
    """Fails where a tag is closed that is not open."""

    VOID = frozenset({"meta", "line", "rect", "circle", "polyline", "polygon"})

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not {"src", "href", "onclick"} & {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_one_file_well_formed_without_scripts_and_addresses(results):
    text = page([results(BottomUp(), Agreement(), LlmAt(), RandomMix(0.5))])
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert "script" not in parser.seen
    assert {"svg", "table", "style", "caption"} <= parser.seen
    assert not re.search(r"https?://|url\(|@import", text)
    assert "prefers-color-scheme: dark" in text


def test_the_same_results_make_the_same_report(results):
    assert page([results(BottomUp())]) == page([results(BottomUp())])


def test_it_shows_every_policy_the_line_the_oracle_and_each_task(results):
    text = page([results(BottomUp(), LlmAt())])
    for words in (
        "bottom-up",
        "llm-at",
        "oracle",
        "random mixing",
        "Pareto front",
        "arithmetic",
        "lists",
        "threshold = 0.7",
    ):
        assert words in text
    assert 'class="mixing"' in text
    assert "Do the estimates come true?" in text


def test_what_a_recording_says_is_escaped(recording, results):
    shown = results(BottomUp())
    spoilt = replace(recording, about="<script>alert(1)</script>", name="<b>x</b>")
    text = page([replace(shown, stream=replace(shown.stream, recording=spoilt))])
    assert "<script>" not in text
    assert "<b>x</b>" not in text


def test_a_lock_in_is_said_and_explained(results):
    stuck = LlmAt(LlmAtSettings(threshold=0.94))
    words = " ".join(found.text for found in findings(results(stuck)) if found.kind == "warn")
    assert "locks in at the top" in words
    assert "the prior accuracy of small, 0.56, is below the threshold of 0.94" in words
    assert "never gets a label" in words


def test_a_policy_that_is_not_locked_in_is_not_accused(results):
    assert not any("locks in" in found.text for found in findings(results(LlmAt())))


def test_a_rung_that_is_dearer_and_weaker_is_named(recording, results):
    swapped = replace(recording, answers={**recording.answers, "large": recording.answers["small"]})
    shown = results()
    chosen = replace(shown.stream, recording=swapped)
    poor = Result(chosen, tuple(replay(chosen, [Always("medium"), Always("large")])))
    assert any("large costs more than medium and is measurably weaker" in found.text for found in findings(poor))
    assert not any("measurably weaker" in found.text for found in findings(shown))


def test_a_policy_below_random_mixing_is_said_to_be(results):
    shown = results(BottomUp(), ladder="ends")
    row = replace(shown.row("bottom-up"), correct=shown.row("always:small").correct - 30)
    poor = replace(shown, rows=tuple(row if each.policy == "bottom-up" else each for each in shown.rows))
    assert any("bottom-up does not beat chance" in found.text for found in findings(poor))
    assert verdict(poor, row).mixing_words.startswith("-")


def test_a_difference_that_may_be_chance_is_never_called_a_gain(results):
    shown = results(Agreement())
    told = verdict(shown, shown.row("agreement"))
    assert told.against.policy == "always:large"
    assert told.gained.low < told.gained.mean < told.gained.high
    assert ("no measurable difference" in told.words) == (told.gained.low <= 0 <= told.gained.high)


def test_labels_do_not_lie_on_each_other():
    points = [(100.0, 100.0), (104.0, 102.0), (108.0, 98.0)]
    placed = place(points, ["one", "two", "three"], (0, 0, 400, 200))
    assert len({(label.x, label.y) for label in placed}) == 3
    assert all(
        abs(one.y - two.y) >= 10 or one.anchor != two.anchor for one in placed for two in placed if one is not two
    )


@pytest.mark.parametrize(
    ("low", "high", "log"), [(0.1, 104, True), (0.5, 0.9, False), (0, 1, False), (3, 3.2, False), (1e-4, 1e-3, True)]
)
def test_scales_have_ticks_inside(low, high, log):
    scale = Scale(low, high, 0, 100, log)
    assert 2 <= len(scale.ticks()) <= 10
    assert all(low <= tick <= high for tick in scale.ticks())
    assert (scale.at(low), scale.at(high)) == (0, 100)


def test_a_profile_made_of_the_questions_it_is_scored_on_is_called_so(recording, tmp_path):
    def told(split):
        chosen = stream(recording, split="test")
        embedder = CachedEmbedder(FakeEmbedder(), tmp_path / "e.sqlite")
        queries = recording.of_split(split)
        about = About("p", "simulated", "recorded", embedder.model)
        made = build(about, recorded_findings(recording, queries), texts_of(queries), embedder, into=None)
        save_profile(made, tmp_path / f"{split}.json")
        policy = Skills(SkillsSettings(profile=str(tmp_path / f"{split}.json")))
        rows = replay(chosen, [*(Always(tier.name) for tier in chosen.tiers), policy], embedder)
        return [found.text for found in findings(Result(chosen, tuple(rows)))]

    assert any("profiled on" in text and "no forecast" in text for text in told("test"))
    assert not any("profiled on" in text for text in told("train"))


def test_who_cannot_see_the_charts_is_told_what_they_show(results):
    html = page([results(LlmAt(), BottomUp())])
    pictures = re.findall(r"<svg[^>]*>", html)
    assert all('aria-hidden="true"' in each or ('role="img"' in each and "aria-label=" in each) for each in pictures)
    (plane,) = re.findall(r'aria-label="(Accuracy against cost[^"]*)"', html)
    assert "always:small" in plane
    assert "bottom-up" in plane
    assert re.search(r'aria-label="Where llm-at starts along the stream: at first \d+% at', html)
    assert html.count("<table>") == html.count("<caption>")
    assert "<th>" not in html
