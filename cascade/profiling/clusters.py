"""Skill phrases -> a few skills: embed, cluster, name each cluster after its commonest phrase.

The criterion for k: of all k tried, the one with the highest mean silhouette (ties: the smaller k), on unit vectors,
each distinct phrase once. The law of this file: deterministic; the only import of scikit-learn's clustering.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Fewer distinct phrases than this are skills of their own.
LEAST_PHRASES = 4
#: More skills than this nobody can read, and each would rest on few instances.
MOST_SKILLS = 40
#: How many different k are tried at most.
_TRIED = 16
_RESTARTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Phrase -> skill, the skills' centres (unit vectors), and why there are so many."""

    skill_of: Mapping[str, str]
    centres: Mapping[str, NDArray[np.float32]]
    criterion: str


def cluster(counts: Mapping[str, int], vectors: NDArray[np.float32]) -> Clusters:
    """Cluster distinct phrases.

    Args:
        counts: phrase -> how often it was said; their order is that of the vectors.
        vectors: unit vectors, shape (phrases, dimensions).
    """
    phrases = list(counts)
    if len(phrases) < LEAST_PHRASES:
        own = {phrase: phrase for phrase in phrases}
        centres = dict(zip(phrases, vectors, strict=True))
        return Clusters(own, centres, f"{len(phrases)} phrases, each a skill of its own")
    weights = np.array([counts[phrase] for phrase in phrases], dtype=np.float64)
    scored = [(_silhouette(vectors, weights, k), -k) for k in _candidates(len(phrases))]
    silhouette, minus_k = max(scored)
    labels = _labels(vectors, weights, -minus_k)
    names = _names(phrases, counts, labels)
    centres = {name: _centre(vectors[labels == label], weights[labels == label]) for label, name in names.items()}
    skill_of = {phrase: names[int(label)] for phrase, label in zip(phrases, labels, strict=True)}
    tried = ", ".join(str(k) for k in _candidates(len(phrases)))
    return Clusters(
        skill_of, centres, f"k = {-minus_k}: the highest mean silhouette ({silhouette:.3f}) of k in {tried}"
    )


def assign(phrases: list[str], vectors: NDArray[np.float32], centres: Mapping[str, NDArray[np.float32]]) -> Clusters:
    """New phrases to the nearest of the skills there are: how a model enters a profile."""
    names = sorted(centres)
    nearest = np.argmax(vectors @ np.array([centres[name] for name in names]).T, axis=1)
    skill_of = {phrase: names[int(place)] for phrase, place in zip(phrases, nearest, strict=True)}
    return Clusters(skill_of, centres, "assigned to the nearest of the skills there are")


def _candidates(phrases: int) -> list[int]:
    """The k that are tried: every one while there are few, then evenly spaced on a logarithmic scale."""
    most = min(MOST_SKILLS, phrases - 1)
    spaced = np.geomspace(2, most, num=min(_TRIED, most - 1)).round().astype(int)
    return sorted({int(k) for k in spaced})


def _silhouette(vectors: NDArray[np.float32], weights: NDArray[np.float64], k: int) -> float:
    from sklearn.metrics import silhouette_score  # noqa: PLC0415 - a second to import, and it sets variables

    labels = _labels(vectors, weights, k)
    if len(set(labels.tolist())) < 2:  # noqa: PLR2004 - all phrases are the same
        return -1.0
    return round(float(silhouette_score(vectors, labels)), 6)


def _labels(vectors: NDArray[np.float32], weights: NDArray[np.float64], k: int) -> NDArray[np.int32]:
    from sklearn.cluster import KMeans  # noqa: PLC0415 - likewise
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - likewise

    with warnings.catch_warnings():
        # Fewer distinct points than clusters: the silhouette then says so, nothing is wrong.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found: NDArray[np.int32] = KMeans(k, n_init=_RESTARTS, random_state=0).fit_predict(
            vectors, sample_weight=weights
        )
    return found


def _names(phrases: list[str], counts: Mapping[str, int], labels: NDArray[np.int32]) -> dict[int, str]:
    """Each cluster's commonest phrase, the alphabetically first of equals."""
    members: dict[int, Counter[str]] = {}
    for phrase, label in zip(phrases, labels, strict=True):
        members.setdefault(int(label), Counter())[phrase] = counts[phrase]
    return {label: min(found, key=lambda each: (-found[each], each)) for label, found in members.items()}


def _centre(vectors: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    mean = np.average(vectors, axis=0, weights=weights)
    unit: NDArray[np.float32] = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return unit
