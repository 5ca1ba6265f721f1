"""Lua scripts of ours on a Redis server, by their hashes."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from importlib.resources import files
from typing import Any

from redis import exceptions as failures


class RedisScript:
    """A script of ours; all its keys lie in one cluster slot. Raises what redis-py raises.

    Not redis-py's, which loads a script that a server does not know into every server of a cluster: while one is down,
    nothing would go on anywhere.

    Parameters:
        client: of a server or a cluster.
        package: where the file is.
        name: of the file.
    """

    def __init__(self, client: Any, package: str, name: str) -> None:
        self._client = client
        self._text = files(package).joinpath(name).read_text()
        self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """What the script answers."""
        try:
            return self._client.evalsha(self._sha, len(keys), *keys, *args)
        except failures.NoScriptError:
            return self._client.eval(self._text, len(keys), *keys, *args)

    def begin(self, keys: Sequence[str], args: Sequence[Any]) -> Callable[[], Any]:
        """Send the call to a server that is no cluster; what is returned waits for the answer, once.

        A call that fails is made anew then, as if it had not been sent: it must be one that may be repeated.
        """
        anew = partial(self, keys, args)
        pool = self._client.connection_pool
        try:
            connection = pool.get_connection()
        except failures.RedisError:
            return anew
        try:
            connection.send_command("EVALSHA", self._sha, len(keys), *keys, *args)
        except failures.RedisError:
            pool.release(connection)
            return anew

        def answer() -> Any:
            try:
                return connection.read_response()
            except failures.RedisError:
                return anew()
            finally:
                pool.release(connection)

        return answer

    def each(self, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
        """The answers of several calls in one round trip: keys and arguments. Raises the first error among them."""
        with self._client.pipeline(transaction=False) as pipe:
            for keys, args in calls:
                pipe.evalsha(self._sha, len(keys), *keys, *args)
            answers = pipe.execute(raise_on_error=False)
        for place, answer in enumerate(answers):
            if isinstance(answer, failures.NoScriptError):
                answers[place] = self(*calls[place])
            elif isinstance(answer, Exception):
                raise answer
        return list(answers)
