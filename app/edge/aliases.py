"""What the client's `model` means: a policy, a tier, or an alias of one of them.

The law of this file: pure. A name is looked up as written; an exact alias wins over a pattern, a longer pattern over a
shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cascade.policies.baselines import NAMES as BASELINES
from cascade.policies.baselines import RANDOM
from cascade.policies.registry import find_baseline
from router.endpoints import VENDORS
from router.errors import ModelNotFound, RequestError
from router.quoting import SHOWN, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALWAYS = "always:"


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Every name that `model` may have. Alias patterns are shell-like (`gpt-*`), their targets policies or tiers.

    The baselines (`agreement`, `random:0.2`) can be named like policies and are not among `policies`: none is listed.
    `embeddings` are listed, and answer on `/v1/embeddings` alone.
    """

    policies: tuple[str, ...]
    tiers: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    embeddings: tuple[str, ...] = ()

    def resolve(self, model: str) -> str:
        """The policy that serves a model name; a tier's is `always:<tier>`.

        Raises:
            ModelNotFound: the message gives the alias line that would make it work.
        """
        policy = self._own(model) or self._own(self._target(model) or "")
        if policy is None:
            raise ModelNotFound(self._unknown(model), param="model")
        return policy

    def check(self, model: str) -> None:
        """Nothing where some endpoint serves this name.

        Raises:
            ModelNotFound: none does.
        """
        if model not in self.embeddings:
            self.resolve(model)

    def policy(self, name: str) -> str:
        """The policy that `x-gearbox-policy` names: a policy, a baseline or `always:<tier>`, no alias.

        Raises:
            RequestError: the message names those there are, or says what is wrong with a share.
        """
        if name in self.policies or _is_baseline(name, "x-gearbox-policy"):
            return name
        if name.startswith(ALWAYS) and name.removeprefix(ALWAYS) in self.tiers:
            return name
        tiers = (f"{ALWAYS}{tier}" for tier in self.tiers)
        known = ", ".join((*self.policies, *BASELINES, f"{RANDOM}<share>", *tiers))
        raise RequestError(f"unknown policy {name[:SHOWN]!r}; there are: {known}", param="x-gearbox-policy")

    def _own(self, name: str) -> str | None:
        if name in self.policies:
            return name
        if name not in self.tiers and _is_baseline(name, "model"):
            return name
        tier = name.removeprefix(ALWAYS)
        return f"{ALWAYS}{tier}" if tier in self.tiers else None

    def _target(self, model: str) -> str | None:
        if model in self.aliases:
            return self.aliases[model]
        matching = [pattern for pattern in self.aliases if fnmatchcase(model, pattern)]
        return self.aliases[max(matching, key=len)] if matching else None

    def _unknown(self, model: str) -> str:
        shown = quoted(model)
        known = ", ".join((*self.policies, *self.tiers, *self.aliases))
        default = self.policies[0] if self.policies else f"{ALWAYS}{self.tiers[-1]}"
        return (
            f"The model {shown} is no policy, tier or alias here. Known: {known}. "
            f"To serve it, add to gearbox.yaml: aliases: {{{shown}: {default}}}"
        )


def _is_baseline(name: str, param: str) -> bool:
    """Whether this names a baseline.

    Raises:
        RequestError: `random:` with something that is no share, naming the parameter that said so.
    """
    try:
        return find_baseline(name) is not None
    except RequestError as error:
        raise RequestError(error.message[: 2 * SHOWN], param=param) from None


def vendor_aliases(providers: Iterable[str], target: str) -> dict[str, str]:
    """Aliases for the model names that clients of these vendors already send, each to one policy or tier."""
    vendors = [VENDORS[provider] for provider in providers if provider in VENDORS]
    return {pattern: target for vendor in vendors for pattern in vendor.aliases}
