"""The numbers two-tier and skills must reach on the real recordings: runs where GEARBOX_RECORDINGS is their folder."""

import os
from functools import cache
from pathlib import Path

import pytest

from cascade.lab.embeddings import CachedEmbedder
from cascade.policies.always import Always
from cascade.policies.skills import Skills, SkillsSettings
from cascade.policies.two_tier import TwoTier
from cascade.policies.two_tier_settings import TwoTierSettings
from cascade.profiling.build import About, build
from cascade.profiling.profile_file import save_profile
from cascade.profiling.recorded import recorded_findings, texts_of
from cascade.recordings import load
from cascade.replay import replay, stream
from router.embedding import SentenceTransformerEmbedder

FOLDER = os.environ.get("GEARBOX_RECORDINGS")
pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="GEARBOX_RECORDINGS names no folder of recordings"),
    pytest.mark.timeout(1200),
]
#: ladder, share, least accuracy in percent with the threshold fitted on train, and learnt on the stream.
REACHED = [
    ("default", 0.25, 79.9, 79.7),
    ("default", 0.5, 84.9, 84.6),
    ("default", 0.75, 87.3, 86.9),
]


@cache
def recording(name):
    return load(Path(FOLDER) / name)


def split_of(ladder, split):
    return stream(recording("confidence"), ladder, split=split)


def ends(ladder, split):
    """(accuracy, mean nano-dollars) of always-small and always-large."""
    chosen = split_of(ladder, split)
    rows = replay(chosen, [Always(chosen.tiers[0].name), Always(chosen.tiers[-1].name)])
    return [(row.accuracy, row.generate_nanousd / row.queries) for row in rows]


def fitted(ladder, share):
    """The margin below which the budget sends a train query to the large model: labels are not looked at."""
    (_, small), (_, large) = ends(ladder, "train")
    chosen = split_of(ladder, "train")
    answers = recording("confidence").answers[chosen.tiers[0].name]
    margins = sorted(answers[query.id].confidence for query in chosen.queries)
    return margins[int(share * (1 - small / large) * len(margins))]


def random_mix(ladder, share):
    (low, _), (high, _) = ends(ladder, "test")
    return 100 * (low + share * (high - low))


@pytest.mark.parametrize(("ladder", "share", "least", "learnt"), REACHED)
def test_two_tier_with_a_threshold_fitted_on_train(ladder, share, least, learnt):
    (row,) = replay(split_of(ladder, "test"), [TwoTier(TwoTierSettings(threshold=fitted(ladder, share)))])
    assert 100 * row.accuracy >= least


@pytest.mark.parametrize(("ladder", "share", "least", "learnt"), REACHED)
def test_two_tier_learning_on_the_stream_keeps_its_budget(ladder, share, least, learnt):
    (row,) = replay(split_of(ladder, "test"), [TwoTier(TwoTierSettings(budget_share=share))])
    assert 100 * row.accuracy >= learnt
    (_, small), (_, large) = ends(ladder, "test")
    assert row.generate_nanousd / row.queries <= 1.02 * (small + share * (large - small))


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("ladder", ["llama", "mistral"])
def test_a_weak_signal_is_at_most_a_little_worse_than_chance(ladder, share):
    (row,) = replay(split_of(ladder, "test"), [TwoTier(TwoTierSettings(budget_share=share))])
    assert 100 * row.accuracy >= random_mix(ladder, share) - 1.5


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    path = tmp_path_factory.mktemp("skills") / "mmlu-pro.json"
    queries = recording("mmlu-pro").of_split("train")
    findings = recorded_findings(recording("mmlu-pro"), queries)
    about = About("mmlu-pro", "mmlu-pro train", "recorded", embedder().model)
    save_profile(build(about, findings, texts_of(queries), embedder(), into=None), path)
    return str(path)


@cache
def embedder():
    return CachedEmbedder(SentenceTransformerEmbedder())


def skilled(ladder, profile):
    chosen = stream(recording("mmlu-pro"), ladder, split="test")
    policies = [Skills(SkillsSettings(profile=profile)), *(Always(tier.name) for tier in chosen.tiers)]
    return replay(chosen, policies, embedder())


def test_skills_beats_always_pro_at_four_fifths_of_its_cost(profile):
    row, *_ = skilled("default", profile)
    assert row.accuracy >= 0.700
    assert row.generate_nanousd + row.judge_nanousd <= 0.8 * 0.943e9


def test_skills_over_the_pool_beats_every_single_model(profile):
    row, *singles = skilled("pool", profile)
    assert row.accuracy > max(single.accuracy for single in singles)
