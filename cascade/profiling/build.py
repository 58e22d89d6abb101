"""Findings -> a profile; two profiles -> one, so that a new model enters by profiling alone.

The law of this file: it embeds through what it is given and asks no model.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cascade.profiling.clusters import Clusters, assign, cluster
from cascade.profiling.matrix import models_of, questions_of
from router.errors import ConfigError
from router.skill_lookup import SkillProfile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cascade.profiling.findings import Finding


class Vectors(Protocol):
    """Texts -> unit vectors, blocking; `lab.embeddings.CachedEmbedder` is one."""

    def vectors(self, texts: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        """Text -> unit vector."""


@dataclass(frozen=True, slots=True)
class About:
    """What a profile says of itself."""

    name: str
    source: str
    critic: str
    embedding_model: str


def build(
    about: About, findings: Sequence[Finding], texts: Mapping[str, str], embedder: Vectors, *, into: SkillProfile | None
) -> SkillProfile:
    """The profile of these findings.

    Args:
        about: what it is.
        findings: at least one.
        texts: question id -> the text that is embedded.
        embedder: of `about.embedding_model`.
        into: a profile to add to: its skills are kept, and a model that is profiled again is replaced. A profile whose
            skills were taken as they stand takes new ones as they stand.

    Raises:
        ConfigError: no findings, or `into` was made with another embedding model.
    """
    if not findings:
        raise ConfigError("nothing was profiled: there is no usable finding")
    if into is not None and into.embedding_model != about.embedding_model:
        raise ConfigError(
            f"{into.name} was made with the embedding model {into.embedding_model!r}, not {about.embedding_model!r}: "
            "profile all models anew"
        )
    clusters = _clusters(about, findings, embedder, into)
    questions = questions_of(findings, clusters.skill_of)
    asked = [texts[question.id] for question in questions]
    found = embedder.vectors(asked)
    made = SkillProfile(
        name=about.name,
        embedding_model=about.embedding_model,
        models=models_of(findings, clusters.skill_of),
        questions=questions,
        vectors=np.array([found[text] for text in asked], dtype=np.float32),
        critic=about.critic,
        source=about.source,
        criterion=clusters.criterion,
        centres=clusters.centres,
    )
    return made if into is None else merged(into, made)


def merged(old: SkillProfile, new: SkillProfile) -> SkillProfile:
    """Both: the new one's models and the old one's others; all questions, the old needs where both know one."""
    known = {question.id for question in old.questions}
    fresh = [place for place, question in enumerate(new.questions) if question.id not in known]
    return replace(
        old,
        models={**old.models, **new.models},
        questions=(*old.questions, *(new.questions[place] for place in fresh)),
        vectors=np.concatenate([old.vectors, new.vectors[fresh]]) if fresh else old.vectors,
        source=old.source if new.source == old.source else f"{old.source} + {new.source}",
    )


def _clusters(about: About, findings: Sequence[Finding], embedder: Vectors, into: SkillProfile | None) -> Clusters:
    counts = Counter(phrase for finding in findings for phrase in finding.required)
    if about.critic == "recorded":
        return Clusters({phrase: phrase for phrase in counts}, {}, "the queries' tasks, as they stand")
    phrases = sorted(counts)
    found = embedder.vectors(phrases)
    vectors = np.array([found[phrase] for phrase in phrases], dtype=np.float32)
    if into is not None and into.centres:
        return assign(phrases, vectors, into.centres)
    return cluster({phrase: counts[phrase] for phrase in phrases}, vectors)
