"""The ledger in Redis: four keys of each endpoint, in one slot of a cluster; every write is one script."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from consumer.redis_state import tried
from contracts.keys import Keys
from livesegments.webhooks.ledger import Kept, LedgerChangedError, Letter, Step, step_as_json
from recommender.redis_script import RedisScript

if TYPE_CHECKING:
    from redis import Redis

_AT_ONCE: Final = 1_000
"""Letters that one script moves: Redis does nothing else meanwhile."""
_POSITION: Final = "position:"


class _Script(RedisScript):
    """A script over the keys of one endpoint. Raises StateUnavailableError."""

    def __init__(self, client: "Redis", name: str) -> None:
        super().__init__(client, "livesegments.webhooks", name)

    def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        return tried(partial(super().__call__, keys, args))


class RedisLedger:
    """See Ledger. The client is made and closed by the caller.

    Raises StateUnavailableError.

    Parameters:
        client: of a server or a cluster.
        keys: of the deployment.
        most: dead letters that are kept of each endpoint; the oldest go.
    """

    def __init__(self, client: "Redis", keys: Keys, most: int) -> None:
        self._client: Any = client
        self._keys = keys
        self._most = most
        self._begin = _Script(client, "begin.lua")
        self._advance = _Script(client, "advance.lua")
        self._move = _Script(client, "move.lua")
        self._take = _Script(client, "take.lua")

    def _of(self, name: str) -> tuple[str, str, str, str]:
        keys = self._keys
        return keys.webhook(name), keys.webhook_letters(name), keys.webhook_again(name), keys.webhook_about(name)

    def begin(self, name: str, identity: str, positions: Mapping[int, int]) -> None:
        """See Ledger."""
        places = [str(one) for number, position in positions.items() for one in (number, position)]
        self._begin(self._of(name), [identity, *places])

    def advance(self, name: str, step: Step) -> int:
        """See Ledger."""
        waiting = int(self._advance(self._of(name), [json.dumps(step_as_json(step)), self._most]))
        if waiting < 0:
            raise LedgerChangedError("the log of changes was made anew")
        return waiting

    def kept(self, name: str) -> Kept:
        """See Ledger."""
        kept, letters, again, _ = self._of(name)

        def read() -> list[Any]:
            with self._client.pipeline(transaction=False) as pipe:
                pipe.hgetall(kept)
                pipe.zcard(letters)
                pipe.zcard(again)
                answers: list[Any] = pipe.execute()
            return answers

        found, dead, waiting = tried(read)
        fields = {name.decode(): value.decode() for name, value in found.items()}
        return Kept(
            identity=fields.get("identity", ""),
            positions={
                int(name.removeprefix(_POSITION)): int(value)
                for name, value in fields.items()
                if name.startswith(_POSITION)
            },
            seen_at=_number(fields, "seen_at"),
            delivered=_number(fields, "delivered") or 0,
            delivered_at=_number(fields, "delivered_at"),
            given_up=_number(fields, "given_up") or 0,
            dropped=_number(fields, "dropped") or 0,
            lost=_number(fields, "lost") or 0,
            failing_since=_number(fields, "failing_since"),
            status=_number(fields, "status"),
            error=fields.get("error", ""),
            letters=dead,
            again=waiting,
        )

    def letters(self, name: str, start: int, count: int) -> Sequence[Letter]:
        """See Ledger."""
        _, letters, _, about = self._of(name)
        if count < 1:
            return []
        call = self._client.zrevrange
        found = tried(lambda: call(letters, start, start + count - 1, withscores=True))
        if not found:
            return []
        told = tried(lambda: self._client.hmget(about, [letter_id for letter_id, _ in found]))
        return [
            Letter.read(letter_id.decode(), int(dead_at), said)
            for (letter_id, dead_at), said in zip(found, told, strict=True)
        ]

    def find(self, name: str, letter_id: str) -> Letter | None:
        """See Ledger."""
        _, letters, _, about = self._of(name)
        said = tried(lambda: self._client.hget(about, letter_id))
        if said is None:
            return None
        dead_at = tried(lambda: self._client.zscore(letters, letter_id))
        return Letter.read(letter_id, int(dead_at or 0), said)

    def ask_again(self, name: str, ids: Sequence[str] | None) -> int:
        """See Ledger."""
        return self._moved(name, "again", ids, self._of(name)[1:2])

    def drop(self, name: str, ids: Sequence[str] | None) -> int:
        """See Ledger."""
        return self._moved(name, "drop", ids, self._of(name)[1:3])

    def _moved(self, name: str, how: str, ids: Sequence[str] | None, lists: Sequence[str]) -> int:
        """Move the letters of these ids, or all that stand in these lists."""
        if ids is None:
            ids = [one.decode() for key in lists for one in tried(partial(self._client.zrange, key, 0, -1))]
        moved = 0
        for start in range(0, len(ids), _AT_ONCE):
            moved += int(self._move(self._of(name), [how, *ids[start : start + _AT_ONCE]]))
        return moved

    def take(self, name: str, count: int, now: int, until: int) -> Sequence[Letter]:
        """See Ledger."""
        found = self._take(self._of(name), [count, now, until])
        return [
            Letter.read(letter_id.decode(), now, said) for letter_id, said in zip(found[::2], found[1::2], strict=True)
        ]


def _number(fields: Mapping[str, str], name: str) -> int | None:
    text = fields.get(name, "")
    return int(text) if text else None
