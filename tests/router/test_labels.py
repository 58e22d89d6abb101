"""The write-back, row by row (papers.md, "Labels written back" and "Live labels, where the paper is silent")."""

from __future__ import annotations

import pytest

from router.domain import (
    Answer,
    Attempt,
    Call,
    CostSource,
    Deliver,
    Deployment,
    Label,
    LabelSource,
    Purpose,
    Run,
    Tier,
    Verdict,
)
from router.labels import by_model, labels

FULL = tuple(Tier(name, (Deployment(name, f"m-{name}", None),), 0.5, name) for name in ("small", "mid", "top"))
V, N, A, U, E = Verdict.VALID, Verdict.INVALID, Verdict.ABSTAINED, Verdict.UNJUDGED, Verdict.ERROR


def attempt(tier, verdict, final="", *, by="", cut=False, model=""):
    call = Call(Purpose.GENERATE, tier, tier, model or f"m-{tier}", None, None, 0, CostSource.NONE, 0.0)
    answer = None if verdict is E else Answer({}, final=final)
    return Attempt(tier, "", calls=(call,), answer=answer, verdict=verdict, verdict_by=by, cut_by_cap=cut)


def learnt(attempts, served, *, ladder=FULL, direct=False):
    run = Run(ladder, "top", attempts=tuple(attempts))
    found = labels(run, Deliver(served, ""), direct=direct)
    return " ".join(f"{x.tier}:{x.correct:g}:{x.source}" for x in found)


ROWS = {
    "valid at the start: it and all above": (
        [attempt("small", V, "1")], 0, "small:1:judge mid:1:assumed top:1:assumed"),
    "valid above the start: below is blank": (
        [attempt("mid", V, "1")], 0, "mid:1:judge top:1:assumed"),
    "a rejected tier that agrees was right": (
        [attempt("small", N, "1"), attempt("mid", V, "1")], 1, "small:1:agreement mid:1:judge top:1:assumed"),
    "a rejected tier that disagrees was wrong": (
        [attempt("small", N, "2"), attempt("mid", V, "1")], 1, "small:0:agreement mid:1:judge top:1:assumed"),
    "nothing found agrees with nothing": (
        [attempt("small", N), attempt("mid", V)], 1, "small:0:agreement mid:1:judge top:1:assumed"),
    "a skipped tier is blank": (
        [attempt("small", N, "1"), attempt("top", U, "1")], 1, "small:1:agreement top:1:assumed"),
    "the top, unjudged, counts as correct": (
        [attempt("small", N, "2"), attempt("mid", N, "1"), attempt("top", U, "1")], 2,
        "small:0:agreement mid:1:agreement top:1:assumed"),
    "the top, judged valid": (
        [attempt("top", V, "1")], 0, "top:1:judge"),
    "abstained is incorrect": (
        [attempt("small", A), attempt("mid", V, "1")], 1, "small:0:judge mid:1:judge top:1:assumed"),
    "an error below is blank": (
        [attempt("small", E), attempt("mid", V, "1")], 1, "mid:1:judge top:1:assumed"),
    "an error above is blank": (
        [attempt("mid", E), attempt("small", V, "1")], 1, "small:1:judge top:1:assumed"),
    "rejected above, served below: by agreement": (
        [attempt("top", N, "2"), attempt("small", V, "1")], 1, "small:1:judge mid:1:assumed top:0:agreement"),
    "unjudged above, served below: assumed": (
        [attempt("mid", U, "2"), attempt("small", V, "1")], 1, "small:1:judge mid:1:assumed top:1:assumed"),
    "unjudged below an accepted one: by agreement": (
        [attempt("small", U, "2", by="failed:mid"), attempt("mid", V, "1")], 1,
        "small:0:agreement mid:1:judge top:1:assumed"),
    "served unjudged below the top: nothing": (
        [attempt("mid", U, "1", by="failed:mid")], 0, ""),
    "served unjudged below the top: an earlier no counts": (
        [attempt("small", N, "1", by="judge:mid"), attempt("mid", U, "1")], 1, "small:0:judge"),
    "a verifier's no counts too": (
        [attempt("small", N, "1", by="verifier:schema"), attempt("mid", U, "1")], 1, "small:0:judge"),
    "an abstention counts too": (
        [attempt("small", A), attempt("mid", U, "1")], 1, "small:0:judge"),
    "a rejected answer as the last resort": (
        [attempt("small", N, "1"), attempt("mid", E)], 0, "small:0:judge"),
    "the top rejected by a verifier": (
        [attempt("mid", N, "1"), attempt("top", N, "1", by="verifier:schema")], 1, "mid:0:judge top:0:judge"),
    "nothing served": (
        [attempt("small", N, "1"), attempt("mid", E), attempt("top", E)], None, "small:0:judge"),
    "only errors": (
        [attempt("small", E), attempt("mid", E), attempt("top", E)], None, ""),
    "no attempts": ([], None, ""),
    "cut by our own limit and rejected: blank": (
        [attempt("small", N, "1", cut=True), attempt("mid", V, "1")], 1, "mid:1:judge top:1:assumed"),
    "cut by our own limit, served as the last resort: blank": (
        [attempt("small", N, "1", cut=True)], 0, ""),
    "cut by our own limit and accepted all the same": (
        [attempt("mid", V, "1", cut=True)], 0, "mid:1:judge top:1:assumed"),
    "the top, cut by our own limit: blank, and a no below stands": (
        [attempt("mid", N, "1"), attempt("top", U, "1", cut=True)], 1, "mid:0:judge"),
    "the same tier asked twice: the served answer counts": (
        [attempt("small", N, "2"), attempt("small", V, "1")], 1, "small:1:judge mid:1:assumed top:1:assumed"),
    "another model of the served tier: by agreement": (
        [attempt("small", N, "2", model="b"), attempt("small", V, "1")], 1,
        "small:0:agreement small:1:judge mid:1:assumed top:1:assumed"),
}  # fmt: skip


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_labels(row):
    attempts, served, expected = row
    assert learnt(attempts, served) == expected


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_direct_learns_nothing(row):
    attempts, served, _ = row
    assert learnt(attempts, served, direct=True) == ""


def test_the_top_of_a_limited_ladder_is_not_trusted():
    assert learnt([attempt("mid", U, "1")], 0, ladder=FULL[:2]) == ""


def test_a_limited_ladder_labels_no_tier_beyond_it():
    assert learnt([attempt("small", V, "1")], 0, ladder=FULL[:2]) == "small:1:judge mid:1:assumed"


def test_every_model_of_a_tier_above_is_assumed_correct():
    wide = Tier("top", (Deployment("x", "mx", None), Deployment("y", "my", None)), 0.5, "top")
    found = labels(Run((*FULL[:2], wide), "top", attempts=(attempt("mid", V),)), Deliver(0, ""), direct=False)
    assert [label.model for label in found] == ["m-mid", "mx", "my"]


def test_a_model_on_two_tiers_keeps_its_most_trusted_label():
    seen = Label("small", "m", 0.0, LabelSource.JUDGE)
    assumed = Label("top", "m", 1.0, LabelSource.ASSUMED)
    assert by_model([assumed, seen]) == {"m": 0.0}


def test_equally_trusted_labels_of_a_model_are_averaged():
    assert by_model([Label("a", "m", 0.0, LabelSource.JUDGE), Label("b", "m", 1.0, LabelSource.JUDGE)]) == {"m": 0.5}
