"""What policies know beyond neighbours: margins and skills, added to the evidence before the first decision.

The law of this file: the live engine and a replay both come through here, so that they cannot know different things.
It asks no model and no database; a profile is read once, when it is made.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.curve_file import load_curves
from cascade.policies.policy import WantsMargins, WantsSkills
from cascade.profiling.profile_file import load_profile
from router.calibration import fit_curve
from router.errors import ConfigError
from router.margins_state import MarginKeeper, past_of
from router.questions import prompt_tokens
from router.skill_lookup import SkillLookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cascade.policies.policy import Policy
    from router.domain import Evidence, Run
    from router.margins_state import Curve, Past, Series

#: Requests whose learning is remembered, so that none counts twice: more than pass in the minutes that are followed.
REMEMBERED = 200_000


class Knowledge:
    """Margins kept and profiles loaded, for some policies.

    Args:
        margins: what was seen so far.
        profiles: path -> lookup.
        horizons: policy's name -> over how many requests its pot runs; None = it has none.
        costs_only: the policies among them that look at no margin.
    """

    def __init__(
        self,
        margins: MarginKeeper,
        profiles: Mapping[str, SkillLookup],
        horizons: Mapping[str, int | None],
        costs_only: Sequence[str] = (),
    ) -> None:
        self._margins = margins
        self._profiles = profiles
        self._horizons = horizons
        self._costs_only = tuple(costs_only)
        self._learnt: OrderedDict[str, bool] = OrderedDict()

    @classmethod
    def of(cls, policies: Iterable[Policy], embedding_model: str | None = None) -> Knowledge:
        """What these policies need.

        Args:
            policies: those that may be asked for.
            embedding_model: the one questions are embedded with; None = not checked against the profiles'.

        Raises:
            ConfigError: a profile or a file of curves is missing or broken, or another embedding model made it.
        """
        asked = list(policies)
        paths = {policy.profile for policy in asked if isinstance(policy, WantsSkills) and policy.profile}
        wants = [policy for policy in asked if isinstance(policy, WantsMargins)]
        horizons = {policy.name: policy.horizon for policy in asked if isinstance(policy, WantsMargins)}
        lookups = {path: _lookup(path, embedding_model) for path in paths}
        given = {series: curve for policy in wants if policy.curves for series, curve in _curves(policy.curves)}
        costs_only = [policy.name for policy in wants if policy.horizon is None and not policy.wants_curve]
        return cls(_keeper(given, curves=any(policy.wants_curve for policy in wants)), lookups, horizons, costs_only)

    @property
    def margins(self) -> MarginKeeper:
        """The margins: for loading at start, and for telling who gives no log-probabilities."""
        return self._margins

    @property
    def margin_policies(self) -> tuple[str, ...]:
        """The policies whose every request counts: those with a pot, and those that look at margins."""
        return tuple(name for name in self._horizons if name not in self._costs_only)

    @property
    def cost_policies(self) -> tuple[str, ...]:
        """The policies that only want to know what answers cost, for which a few of the latest requests will do."""
        return tuple(self._costs_only)

    def fresh(self) -> Knowledge:
        """The same profiles with nothing seen yet: each replayed policy has its own history."""
        return Knowledge(self._margins.fresh(), self._profiles, self._horizons, self._costs_only)

    def load(self, pasts: Iterable[tuple[str, Past]]) -> None:
        """(scope, past) of what is stored, oldest first; what is known already changes nothing."""
        for scope, past in pasts:
            if not self.knows(past.id):
                self._remember(past.id, read_back=True)
                self._margins.learn(past, scope, self._horizons.get(past.policy))

    def knows(self, request_id: str) -> bool:
        """Whether the margins were learnt from this request, as far as that is remembered."""
        return request_id in self._learnt

    def enriched(
        self, evidence: Evidence, policy: Policy, vector: NDArray[np.float32] | None, scope: str, messages: Any
    ) -> Evidence:
        """The evidence with what this policy wants.

        Args:
            evidence: what is known of similar questions.
            policy: who will decide.
            vector: the question's unit vector; None = not embedded.
            scope: whose margins count.
            messages: the conversation, whose length says what an answer will cost.
        """
        if isinstance(policy, WantsMargins):
            length = prompt_tokens(messages)
            evidence = replace(evidence, margins=self._margins.state(scope), prompt_tokens=length)
        if isinstance(policy, WantsSkills) and policy.profile:
            found = self._profiles[policy.profile].evidence(vector, policy.profiled_neighbours)
            evidence = replace(evidence, skills=found)
        return evidence

    def learn(self, run: Run, policy: Policy, labels: Mapping[str, float], scope: str, *, learn: bool = True) -> None:
        """Take over a finished run; with `learn` False only its money counts."""
        if isinstance(policy, WantsMargins):
            if self._learnt.get(run.id):  # the store was faster
                return
            if policy.name not in self._costs_only:  # those are read back at the start alone
                self._remember(run.id, read_back=False)
            self._margins.learn(past_of(run, labels, policy=policy.name, learn=learn), scope, policy.horizon)

    def _remember(self, request_id: str, *, read_back: bool) -> None:
        """That it was learnt from, and whether it came from the store rather than from its run here."""
        self._learnt[request_id] = read_back
        while len(self._learnt) > REMEMBERED:
            self._learnt.popitem(last=False)

    def relabel(self, request_id: str, labels: Mapping[str, float], scope: str) -> None:
        """Somebody said how right an earlier answer was."""
        self._margins.relabel(request_id, labels, scope)


def _keeper(given: Mapping[Series, Curve], *, curves: bool) -> MarginKeeper:
    if not curves:
        return MarginKeeper()
    # scikit-learn takes a second to import: now rather than while a request waits.
    fit_curve([(0.0, 1.0)], [])
    return MarginKeeper(fit_curve, given)


def _curves(path: str) -> Iterable[tuple[Series, Curve]]:
    return load_curves(Path(path)).items()


def _lookup(path: str, embedding_model: str | None) -> SkillLookup:
    profile = load_profile(Path(path))
    if embedding_model is not None and profile.embedding_model != embedding_model:
        raise ConfigError(
            f"{path}: the profile was made with the embedding model {profile.embedding_model!r}, questions are "
            f"embedded with {embedding_model!r}; profile anew with `gearbox skills profile`",
            param="skills.profile",
        )
    return SkillLookup(profile)
