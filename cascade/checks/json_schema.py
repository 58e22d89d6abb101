"""`kind: json_schema`: the answer is JSON that fits the operator's schema. Pure.

A `$ref` to anywhere but the schema itself resolves to nothing: a verifier fetches no address that a schema names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import orjson

from cascade.checks.said import invalid, valid
from cascade.verifiers import schema_checker
from router.errors import ConfigError

if TYPE_CHECKING:
    from cascade.checks.said import Said
    from router.domain import Request


class SchemaCheck:
    """Validates against one schema.

    Raises:
        ConfigError: the schema itself is wrong.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        try:
            self._checker = schema_checker(schema)
        except jsonschema.SchemaError as error:
            raise ConfigError(f"is no JSON schema: {error.message}", param="schema") from error

    async def look(self, request: Request, text: str) -> Said:  # noqa: ARG002 - the schema is the operator's alone
        """Parse and validate."""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return invalid(f"not JSON: {error}")
        wrong = jsonschema.exceptions.best_match(self._checker.iter_errors(value))
        return valid("it fits the schema") if wrong is None else invalid(f"{wrong.message} at {wrong.json_path}")
