from __future__ import annotations

from datetime import date

from app.config.rules import Policies
from router.errors import ConfigError

TODAY = date(2026, 11, 27)
KEYS = {"OPENAI_API_KEY": "sk-openai", "ANTHROPIC_API_KEY": "sk-anthropic"}


def validate(name: str, settings: dict) -> None:
    for key, value in settings.items():
        if key not in ("threshold", "k", "lambda"):
            raise ConfigError(f"{name} has no setting {key}", param=key)
        if not isinstance(value, int | float):
            raise ConfigError(f"{key} must be a number", param=key)


POLICIES = Policies(("auto", "llm-at"), validate)
