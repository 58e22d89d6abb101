"""Everything the routes need, made by `wiring` and given to `create_app`: no globals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from app.edge.aliases import ModelNames
    from app.edge.auth import KeyRing
    from app.edge.key_desk import KeyDesk
    from app.edge.live import Desk
    from app.edge.reports import Extras
    from app.observe.metrics import Metrics
    from cascade.embeddings.call import Embeddings
    from cascade.engine import Engine
    from router.domain import Tier
    from router.ports import History
    from router.starter import Starter
    from storage.reports.reports import Reports


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running Gearbox.

    `checks` names each thing that readiness needs and how it is asked; `notes` says what does not keep it from serving.
    """

    engine: Engine
    desk: Desk
    embeddings: Embeddings
    history: History
    reports: Reports
    starter: Starter
    keys: KeyRing
    admin: KeyDesk
    names: ModelNames
    ladder: Sequence[Tier]
    metrics: Metrics
    extras: Extras
    max_body_bytes: int
    hold_status_s: float
    checks: dict[str, Callable[[], Awaitable[None]]]
    notes: Callable[[], Mapping[str, str]]
    look_at_gauges: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    started_at: float
