from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from config_support import KEYS, POLICIES, TODAY

from app.config import file as config_file
from app.config.environment import Variables
from router.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.config.file import Loaded


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture
def read(catalog) -> Callable[..., Loaded]:
    def read_text(text: str, env: dict[str, str] | None = None, name: str = "gearbox.yaml") -> Loaded:
        return config_file.read(text, name, Variables(KEYS if env is None else env), catalog, POLICIES, TODAY)

    return read_text
