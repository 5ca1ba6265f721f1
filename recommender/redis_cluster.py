"""Redis Cluster as our stores use it: many keys in one round trip a node, and a fail-over that is an error that passes.

Every command sent here may be sent twice: after a lost reply nobody knows whether it was carried out.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    ClusterError,
    MovedError,
    RedisClusterException,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.retry import Retry

ATTEMPTS: Final = 4
"""How often a command is sent before that is an error, each time with a new look at who serves what."""
PASSING: Final = (MovedError, ClusterDownError, TryAgainError, redis.ConnectionError, redis.TimeoutError)
_NO_CLUSTER: Final = "cluster support disabled"
_NOBODY_KNOWS: Final = ("cannot be connected", "not covered", "could not agree")
"""What redis-py says where no node answers, or nodes know different things of a cluster that is changing."""

_Command = tuple[str, tuple[Any, ...], dict[str, Any]]
"""A method of redis-py's pipelines, with its arguments."""


class ClusterClient:
    """A client that connects when it is first used, safe to use from several threads.

    Answers to every method of redis-py's RedisCluster. Pipelines without a transaction are our own: redis-py's sends
    what failed again one by one, each with all its retries, which takes minutes while a node is down.

    Parameters:
        connect: makes the client.
        attempts: see ATTEMPTS.
    """

    def __init__(self, connect: Callable[[], RedisCluster], attempts: int = ATTEMPTS) -> None:
        self._connect = connect
        self.attempts = attempts
        self._lock = threading.Lock()
        self._client: RedisCluster | None = None
        self._primaries: frozenset[str] = frozenset()
        self._promotions = 0

    @property
    def cluster(self) -> Any:
        """redis-py's client, most of whose methods tell no types. Raises RedisError where no node answers."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    try:
                        self._client = self._connect()
                    except RedisClusterException as error:
                        raise as_redis_error(error) from error
        return self._client

    @property
    def promotions(self) -> int:
        """How often a node was seen to serve that did not before: what was written to another may be lost."""
        if self._client is not None:
            now = frozenset(node.name for node in self.cluster.get_primaries())
            self._promotions += bool(self._primaries and now - self._primaries)
            self._primaries = now or self._primaries
        return self._promotions

    def pipeline(self, transaction: bool = True) -> Any:  # noqa: FBT001, FBT002 - as redis-py has it
        """Commands sent together: by one slot all or none, or by any without that."""
        return Transaction(self.cluster.pipeline(transaction=True)) if transaction else NodePipelines(self)

    def refresh(self) -> None:
        """Look anew at who serves what."""
        try:
            self.cluster.nodes_manager.initialize()
        except RedisClusterException as error:
            raise as_redis_error(error) from error

    def close(self) -> None:
        """Let go of all connections."""
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.cluster, name)

        def call(*arguments: Any, **options: Any) -> Any:
            try:
                return method(*arguments, **options)
            except RedisClusterException as error:
                raise as_redis_error(error) from error

        return call


class Transaction:
    """Commands of one slot, all or none; a slot that is on the move is an error that passes."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    def execute(self) -> list[Any]:
        """The answers, in the order of the commands."""
        try:
            answers: list[Any] = self._pipe.execute()
        except AskError as error:
            raise redis.ConnectionError(f"the slot is on the move ({error})") from error
        except RedisClusterException as error:
            raise as_redis_error(error) from error
        return answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.reset()


class NodePipelines:
    """Commands of one key each, sent together to each node; none of them depends on another."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self._commands: list[_Command] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def later(*arguments: Any, **options: Any) -> None:
            self._commands.append((name, arguments, options))

        return later

    def execute(self) -> list[Any]:
        """The answers, in the order of the commands. Raises the first error among them when all were tried."""
        commands, self._commands = self._commands, []
        answers: list[Any] = [None] * len(commands)
        waiting = list(range(len(commands)))
        for attempt in range(self._client.attempts):
            if attempt:
                self._client.refresh()
            waiting = self._try(waiting, commands, answers)
            if not waiting:
                break
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _try(self, numbers: list[int], commands: list[_Command], answers: list[Any]) -> list[int]:
        """Send these commands; those to be sent again, which have an error for an answer."""
        again: list[int] = []
        for node, some in self._by_node(numbers, commands):
            try:
                found = _sent(node, [commands[number] for number in some])
            except (redis.ConnectionError, redis.TimeoutError) as error:
                found = [error] * len(some)
            for number, answer in zip(some, found, strict=True):
                # ASK, other than MOVED: the key has moved ahead of its slot.
                asks = isinstance(answer, AskError) and not isinstance(answer, MovedError)
                answers[number] = self._alone(commands[number]) if asks else answer
                if isinstance(answers[number], PASSING):
                    again.append(number)
        return again

    def _by_node(self, numbers: Iterable[int], commands: list[_Command]) -> list[tuple[ClusterNode, list[int]]]:
        cluster = self._client.cluster
        found: dict[str, tuple[ClusterNode, list[int]]] = {}
        for number in numbers:
            name, arguments, _ = commands[number]
            key = arguments[1 if name == "execute_command" else 0]
            try:
                node = cluster.nodes_manager.get_node_from_slot(cluster.keyslot(key))
            except RedisClusterException as error:
                raise as_redis_error(error) from error
            found.setdefault(node.name, (node, []))[1].append(number)
        return list(found.values())

    def _alone(self, command: _Command) -> Any:
        """A command whose key has just moved ahead of its slot."""
        name, arguments, options = command
        try:
            return getattr(self._client, name)(*arguments, **options)
        except redis.RedisError as error:
            return error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._commands = []

    def __len__(self) -> int:
        return len(self._commands)


def _sent(node: ClusterNode, commands: Iterable[_Command]) -> list[Any]:
    with node.redis_connection.pipeline(transaction=False) as pipe:
        for name, arguments, options in commands:
            getattr(pipe, name)(*arguments, **options)
        answers: list[Any] = pipe.execute(raise_on_error=False)
    return answers


def connect_to_cluster(servers: Iterable[tuple[str, int]], attempts: int = ATTEMPTS, **options: Any) -> RedisCluster:
    """A client of the cluster that these nodes are of; connects. Raises what redis-py raises."""
    options.pop("db", None)
    node: Any = ClusterNode
    return RedisCluster(
        startup_nodes=[node(host, port) for host, port in servers],
        # While a part is down the others go on.
        require_full_coverage=False,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), attempts - 1),
        # At once, not after five commands went astray.
        reinitialize_steps=1,
        **options,
    )


def as_redis_error(error: RedisClusterException) -> redis.RedisError:
    """What redis-py's cluster client raises beside RedisError, as one: told apart by what a user can do about it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AuthenticationError):
            return cause
        if _NO_CLUSTER in str(cause):
            return redis.ResponseError(
                "the server is not part of a Redis Cluster: write redis://, not redis+cluster://"
            )
        if isinstance(cause, redis.ResponseError) and not isinstance(cause, ClusterError):
            return cause
        cause = cause.__cause__ or cause.__context__
    passes = isinstance(error, SlotNotCoveredError) or any(sign in str(error) for sign in _NOBODY_KNOWS)
    return redis.ConnectionError(str(error)) if passes else redis.ResponseError(str(error))
