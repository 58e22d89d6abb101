"""The published numbers, over the real recordings: runs where GEARBOX_RECORDINGS names their folder.

llm-at embeds thousands of questions; the first run takes minutes, later ones read them from the cache.
"""

import os
from functools import cache
from pathlib import Path

import pytest

from cascade.lab.embeddings import CachedEmbedder
from cascade.policies.always import Always
from cascade.policies.baselines import Agreement, BottomUp
from cascade.policies.llm_at import LlmAt
from cascade.recordings import load
from cascade.replay import Oracle, replay, stream
from router.embedding import SentenceTransformerEmbedder

FOLDER = os.environ.get("GEARBOX_RECORDINGS")
pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="GEARBOX_RECORDINGS names no folder of recordings"),
    pytest.mark.timeout(1200),
]

#: recording, ladder, policy, accuracy in percent, USD: an independent evaluator's; within 0.7 points and 4 % of cost.
REACHED = [
    ("llm-at-math", "default", LlmAt, 79.5, 15.87),
    ("zeroeval", "default", LlmAt, 81.6, 9.21),
    ("zeroeval", "openai", LlmAt, 86.2, 10.03),
    ("zeroeval", "llama", LlmAt, 78.0, 5.28),
    ("zeroeval", "wide", LlmAt, 81.0, 4.60),
    ("mmlu-pro", "default", LlmAt, 69.9, 1.945),
    ("llm-at-math", "default", BottomUp, 75.5, 9.07),
    ("zeroeval", "default", BottomUp, 73.5, 5.07),
    ("llm-at-math", "default", Agreement, 79.75, 20.34),
    ("zeroeval", "openai", Agreement, 93.4, 25.19),
    ("zeroeval", "default", Agreement, 82.6, 9.95),
]
#: recording, ladder, model or oracle, accuracy in percent, USD per 1,000: the recordings' README, to the last digit.
EXACT = [
    ("confidence", "default", "gpt-3.5-turbo", 71.58, 0.0831),
    ("confidence", "default", "gpt-4-turbo", 87.83, 1.6625),
    ("confidence", "default", "oracle", 91.01, 0.3986),
    ("confidence", "llama", "Llama-7b", 39.93, 0.0325),
    ("confidence", "llama", "Llama-13b", 47.49, 0.0487),
    ("confidence", "llama", "Llama-70b", 62.78, 0.1460),
    ("confidence", "llama", "oracle", 73.31, 0.0520),
    ("confidence", "mistral", "Mistral", 58.10, 0.0325),
    ("confidence", "mistral", "Mixtral", 69.89, 0.0974),
    ("confidence", "mistral", "oracle", 78.35, 0.0457),
    ("llm-at-math", "default", "gpt-4o-mini", 52.50, 0.1116),
    ("llm-at-math", "default", "gpt-4o", 65.25, 2.2619),
    ("llm-at-math", "default", "o1-mini", 77.25, 19.9122),
    ("llm-at-math", "default", "o1", 79.25, 103.9079),
    ("llm-at-math", "default", "oracle", 88.25, 13.5855),
    ("mmlu-pro", "default", "gemini-1.5-flash-002", 64.09, 0.0470),
    ("mmlu-pro", "default", "gemini-1.5-pro-002", 69.93, 0.6576),
    ("mmlu-pro", "default", "oracle", 77.97, 0.1536),
    ("mmlu-pro", "long", "Mistral-7B-Instruct-v0.2", 27.53, 0.0617),
    ("mmlu-pro", "long", "Llama-3.1-8B-Instruct", 43.48, 0.0964),
    ("mmlu-pro", "long", "Mixtral-8x7B-Instruct-v0.1", 41.42, 0.1489),
    ("mmlu-pro", "long", "Llama-3.1-70B-Instruct", 63.11, 0.3084),
    ("mmlu-pro", "long", "gemini-1.5-pro-002", 69.93, 0.6576),
    ("mmlu-pro", "long", "oracle", 84.49, 0.1922),
    ("zeroeval", "default", "claude-3-haiku-20240307", 60.49, 0.3424),
    ("zeroeval", "default", "claude-3-5-haiku-20241022", 75.04, 1.2814),
    ("zeroeval", "default", "claude-3-5-sonnet-20241022", 83.59, 3.4581),
    ("zeroeval", "default", "oracle", 87.57, 0.9215),
    ("zeroeval", "openai", "gpt-4o-mini-2024-07-18", 78.38, 0.2112),
    ("zeroeval", "openai", "gpt-4o-2024-08-06", 83.24, 3.3777),
    ("zeroeval", "openai", "o1-mini-2024-09-12", 93.70, 20.5561),
    ("zeroeval", "openai", "oracle", 96.02, 2.6846),
    ("zeroeval", "llama", "Meta-Llama-3.1-8B-Instruct", 55.88, 0.1249),
    ("zeroeval", "llama", "Meta-Llama-3.1-70B-Instruct", 72.78, 0.4442),
    ("zeroeval", "llama", "Meta-Llama-3.1-405B-Instruct", 77.75, 1.3655),
    ("zeroeval", "llama", "oracle", 83.31, 0.3003),
    ("zeroeval", "wide", "gemini-1.5-flash", 69.23, 0.0742),
    ("zeroeval", "wide", "claude-3-opus-20240229", 73.59, 17.1320),
    ("zeroeval", "wide", "oracle", 92.54, 0.4933),
]


@cache
def recording(name):
    return load(Path(FOLDER) / name)


@pytest.fixture(scope="module")
def embedder():
    return CachedEmbedder(SentenceTransformerEmbedder())


@pytest.mark.parametrize(("name", "ladder", "policy", "accuracy", "usd"), REACHED)
def test_a_policy_reaches_the_independent_evaluators_numbers(embedder, name, ladder, policy, accuracy, usd):
    (row,) = replay(stream(recording(name), ladder), [policy()], embedder)
    assert 100 * row.accuracy == pytest.approx(accuracy, abs=0.7)
    assert row.cost_nanousd / 1e9 == pytest.approx(usd, rel=0.04)


def test_llm_at_starts_where_the_independent_evaluator_starts(embedder):
    (row,) = replay(stream(recording("llm-at-math")), [LlmAt()], embedder)
    assert list(row.starts.values()) == [5, 240, 132, 23]


@pytest.mark.parametrize(("name", "ladder", "who", "accuracy", "usd_per_thousand"), EXACT)
def test_one_model_and_the_oracle_score_what_the_readme_says(name, ladder, who, accuracy, usd_per_thousand):
    policy = Oracle() if who == "oracle" else Always(who)
    (row,) = replay(stream(recording(name), ladder), [policy])
    assert round(100 * row.accuracy, 2) == accuracy
    assert round(row.cost_nanousd / 1e6 / row.queries, 4) == usd_per_thousand
