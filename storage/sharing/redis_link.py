"""The one connection to Redis, and what its absence means: an error at once, and another try a moment later.

The law of this file: it knows no key and no script's purpose. Whoever uses it has a way to go on without it; what that
way is stands in `mode`, which readiness and the log show.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from router.errors import ConfigError
from storage.sharing.redis_away import MODE, RedisAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.commands.core import AsyncScript

_log = structlog.get_logger("gearbox.redis")

#: Seconds that one command may take, and for which Redis is left alone after a failure.
PATIENCE_S, LEFT_ALONE_S = 1.0, 1.0
#: Of one worker. More would not be faster: Redis runs one command at a time.
MAX_CONNECTIONS = 64


class RedisLink:
    """Scripts and commands on one server.

    Args:
        url: redis://, rediss:// or unix://.
        patience_s: how long one command may take.
        clock: seconds, monotonic.
    """

    def __init__(self, url: str, patience_s: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic) -> None:
        # One that is full makes a crowd wait in line; the plain pool would call Redis away.
        pool = BlockingConnectionPool.from_url(
            url,
            socket_timeout=patience_s,
            socket_connect_timeout=patience_s,
            retry=Retry(NoBackoff(), 0),
            max_connections=MAX_CONNECTIONS,
            timeout=patience_s,
        )
        self.redis: Redis = Redis.from_pool(pool)
        self._clock = clock
        self._away_until = 0.0
        self._store = ""
        self._away = False
        self._scripts: dict[str, AsyncScript] = {}

    def name(self, store_id: str) -> None:
        """Say which store's Redis this is, so that two stores on one Redis never meet."""
        self._store = store_id

    def key(self, name: str) -> str:
        """A key's full name. One hash tag: in a cluster everything lies on one node, as scripts need it.

        Raises:
            RedisAway: the store was not reached yet, so its name is not known.
        """
        if not self._store:
            raise RedisAway("redis is not used before the database was reached once")
        return f"gearbox:{{{self._store}}}:{name}"

    @property
    def away(self) -> bool:
        """Whether the last thing asked of it failed."""
        return self._away

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[str | int | float | bytes]) -> Any:
        """Run a Lua script: all of it at once, or RedisAway."""
        if script not in self._scripts:
            self._scripts[script] = self.redis.register_script(script)
        return await self.ask(lambda: self._scripts[script](keys=list(keys), args=list(arguments)))

    async def ask(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """Run one command.

        Raises:
            RedisAway: no answer, or none a moment ago.
        """
        if self._clock() < self._away_until:
            raise RedisAway("redis is away")
        try:
            answer = await command()
        except (RedisError, OSError) as error:
            self._away_until = self._clock() + LEFT_ALONE_S
            if not self._away:
                _log.warning(MODE, why=f"{type(error).__name__}: {error}")
            self._away = True
            raise RedisAway(f"redis is away ({type(error).__name__})") from error
        if self._away:
            _log.info("redis is back")
        self._away = False
        return answer

    async def ping(self) -> None:
        """Raise RedisAway where it does not answer."""
        await self.ask(self.redis.ping)

    async def greet(self) -> None:
        """Ask for the first time; to be away is no error.

        Raises:
            ConfigError: it is there, and turns us away.
        """
        try:
            await self.ping()
        except RedisAway as error:
            why = _refusal(error)
            if why is not None:
                raise ConfigError(f"redis turns us away ({why}). Mend redis.url, or Redis") from error

    async def aclose(self) -> None:
        """Give the connections back."""
        await self.redis.aclose()


def _refusal(error: BaseException | None) -> str | None:
    """What Redis itself said against our name, password or database; None where nobody answered."""
    while error is not None:
        if isinstance(error, AuthenticationError | ResponseError):
            return str(error)
        error = error.__cause__ or error.__context__
    return None
