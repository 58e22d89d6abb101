"""Which requests a verifier looks at. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.domain import Request


@dataclass(frozen=True, slots=True)
class Match:
    """All that is given must fit; nothing given = every request.

    `tag` is a tag of `x-gearbox-tags`, `app` (whatever its value) or `app=shop`; `model` a shell-like pattern for the
    model name that the client sent; `schema` one for the name of its `response_format.json_schema`.
    """

    tag: str | None = None
    model: str | None = None
    schema: str | None = None

    def fits(self, request: Request) -> bool:
        """Whether the verifier looks at this request's answers."""
        return (
            (self.tag is None or _has_tag(request, self.tag))
            and (self.model is None or fnmatchcase(request.asked_model, self.model))
            and (self.schema is None or fnmatchcase(_schema_name(request), self.schema))
        )


def _has_tag(request: Request, tag: str) -> bool:
    name, equals, value = tag.partition("=")
    given = request.wishes.tags.get(name.strip())
    return given is not None and (not equals or given == value.strip())


def _schema_name(request: Request) -> str:
    wanted = request.body.get("response_format")
    schema = wanted.get("json_schema") if isinstance(wanted, dict) else None
    name = schema.get("name") if isinstance(schema, dict) else None
    return name if isinstance(name, str) else ""
