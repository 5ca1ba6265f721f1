"""Who may do what in Redis: the users of a deployment as lines for Redis' access control lists (6.2 and newer)."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from contracts.keys import Keys, LogNames
from logs.redis_stream import StreamKeys

Role = Literal["worker", "producer", "reader", "dashboard", "webhooks"]

NO_HASH_YET: Final = "#PUT-THE-SHA-256-OF-A-PASSWORD-HERE"
"""Redis refuses it, so that nobody runs with a password that stands in a manual."""

# What redis-py says when it connects; AUTH, HELLO, QUIT and RESET are everybody's. It does not mind being refused
# CLIENT SETINFO, which Redis 7.0 does not know.
_CONNECTING: Final = ("+ping", "+select")
_READING: Final = ("+get", "+mget", "+hget", "+hmget")
_LOOKING: Final = (
    *("+exists", "+type", "+ttl", "+pttl", "+strlen", "+hgetall", "+hlen", "+hscan", "+hkeys", "+smembers", "+scard"),
    *("+xlen", "+xrange", "+xrevrange", "+zcard", "+zrange", "+zrevrange", "+zscore", "+object", "+info"),
)
_WRITING: Final = (
    *("+@read", "+@write", "+@transaction", "+eval", "+evalsha", "+script|load", "+time"),
    # Keys that are not the deployment's are out of reach whatever the command; these would name or reach them all.
    *("-@dangerous", "-randomkey", "-scan", "-swapdb", "-flushdb", "-flushall", "+info", "+object"),
)
# Who serves what, which commands have which keys, and following a key that is on the move.
_IN_CLUSTER: Final = ("+cluster|slots", "+command", "+asking")
_PRODUCING: Final = (
    *("+multi", "+exec", "+discard", "+eval", "+evalsha", "+script|load", "+time"),
    *("+exists", "+hget", "+hmget", "+hgetall", "+hset", "+hdel", "+hsetnx", "+expire", "+xadd", "+xinfo", "+xtrim"),
    *("+xrange", "+xrevrange"),
)
# Nothing in it makes, replaces or deletes a text: what segments are called is one, and is only to be read.
_TELLING: Final = (
    *(
        "+eval",
        "+evalsha",
        "+script|load",
        "+get",
        "+mget",
        "+hget",
        "+hmget",
        "+hgetall",
        "+hkeys",
        "+hset",
        "+hsetnx",
    ),
    *("+hincrby", "+hdel", "+zadd", "+zrem", "+zremrangebyrank", "+zcard", "+zscore", "+zrange", "+zrevrange"),
    "+zrangebyscore",
)
_FOLLOWING: Final = ("+multi", "+exec", "+discard", "+xread", "+xrange", "+xrevrange")
_LEASING: Final = ("+get", "+set", "+del")
_NOTING: Final = ("+hset", "+hdel")
_TRACKING: Final = "+client|tracking"
_GLOB: Final = re.compile(r"([*?\[\]\\])")


@dataclass(frozen=True, slots=True)
class User:
    """One user of Redis: a name, patterns of keys, rules on commands; the last two need Redis 7."""

    name: str
    keys: tuple[str, ...]
    commands: tuple[str, ...]
    read: tuple[str, ...] = ()
    """Patterns of keys that these commands may read, and no more."""
    selectors: tuple[tuple[str, ...], ...] = ()
    """Rules that allow something beside all that."""

    def rules(self, password: str | None) -> str:
        """Everything about the user in one line; from scratch, so that saying it again changes nothing."""
        secret = NO_HASH_YET if password is None else f"#{hashlib.sha256(password.encode()).hexdigest()}"
        patterns = (*(f"~{pattern}" for pattern in self.keys), *(f"%R~{pattern}" for pattern in self.read))
        more = (f"({' '.join(selector)})" for selector in self.selectors)
        return " ".join(("reset", "on", secret, "resetchannels", *patterns, "-@all", *self.commands, *more))


def users(
    keys: Keys,
    logs: LogNames,
    *,
    log_in_redis: bool = False,
    near_cache: bool = True,
    cluster: bool = False,
    webhooks: bool = False,
    selectors: bool = True,
) -> Mapping[Role, User]:
    """The users that a deployment needs.

    Parameters:
        keys: of the deployment.
        logs: of the deployment.
        log_in_redis: the log is in Redis, too; only then there is a producer.
        near_cache: readers and dashboard may use one: it takes CLIENT TRACKING, which tells names of keys, though no
            value, of the whole server.
        cluster: it is a Redis Cluster, each node of which is to know the users.
        webhooks: somebody is told of changes.
        selectors: Redis is 7 or newer, and knows keys that are only read, and commands for some keys alone.
    """
    prefix = keys.prefix
    streams = {name: literal(StreamKeys(name).stream) for name in logs.all}
    everything = (f"{literal(prefix)}:*", *(f"{stream}*" for stream in streams.values() if log_in_redis))
    # Whoever publishes first creates all logs: that writes the `:meta` of those which only workers write to.
    written = [
        f"{stream}*" if name in {logs.events, logs.catalog} else f"{stream}:meta" for name, stream in streams.items()
    ]
    connecting = (*_CONNECTING, *_IN_CLUSTER * cluster)
    reading = (*connecting, *_READING, *(_TRACKING,) * near_cache)
    found: dict[Role, User] = {"worker": User(f"{prefix}-worker", everything, (*connecting, *_WRITING))}
    if log_in_redis:
        # What imports came to is told by whoever publishes.
        written.append(literal(keys.imports()))
        found["producer"] = User(f"{prefix}-producer", tuple(written), (*_CONNECTING, *_PRODUCING))
    found["reader"] = User(f"{prefix}-reader", tuple(views(keys)), reading)
    # What `livesegments web` has to say itself: what imports by page came to, and who has logged out.
    telling = (*(f"~{literal(key)}" for key in (keys.imports(), keys.ended_sessions())), "-@all", *_NOTING)
    found["dashboard"] = User(
        f"{prefix}-dashboard", everything, (*reading, *_LOOKING), selectors=(telling,) if selectors else ()
    )
    if webhooks:
        found["webhooks"] = _webhooks(keys, streams[logs.changes] if log_in_redis else None, connecting, selectors)
    return found


def _webhooks(keys: Keys, changes: str | None, connecting: tuple[str, ...], selectors: bool) -> User:  # noqa: FBT001
    """Who tells of the changes in a stream, or in Kafka (None)."""
    name, kept, names = f"{keys.prefix}-webhooks", f"{literal(keys.prefix)}:{{webhook-*", literal(keys.segments())
    commands = (*connecting, *_TELLING)
    if changes is None:
        return User(name, (kept,), commands, (names,)) if selectors else User(name, (kept, names), commands)
    lease, commands = f"{changes}:lease:*", (*commands, *_FOLLOWING)
    if not selectors:
        # Redis 6.2 allows a command for all keys of a user or for none: so much for the lease goes for the rest, too.
        return User(name, (kept, names, f"{changes}*"), (*commands, *_LEASING))
    # The script that takes the lease is allowed for it by the first rules, what it does by the second.
    leasing = (f"~{lease}", "-@all", *_LEASING)
    return User(name, (kept, lease), commands, (names, changes, f"{changes}:meta"), (leasing,))


def views(keys: Keys) -> Iterator[str]:
    """Patterns of the public keys, and of no others."""
    prefix = literal(keys.prefix)
    plain = Keys(prefix)
    yield plain.customer("*")
    yield plain.similar("*")
    yield plain.popular()
    yield plain.popular("*")
    yield plain.cold_start()
    yield plain.segments()
    # Numbers and days: model:fence, model:notes and model:requests are the workers' own.
    yield from (f"{prefix}:segment:[0-9]*", f"{prefix}:segment:-[0-9]*")
    yield plain.model()
    yield f"{prefix}:model:[0-9]*"
    yield plain.review()
    yield plain.history("[0-9]*")
    yield plain.feedback("[0-9]*")
    yield plain.lift()
    yield from (plain.catalogue(), plain.withdrawn(), plain.catalogue_version())


def literal(text: str) -> str:
    r"""A text as a pattern that matches nothing else.

    >>> literal("shop[1]")
    'shop\\[1\\]'
    """
    return _GLOB.sub(r"\\\1", text)
