"""Lua scripts of ours on a Redis server, by their hashes."""

import hashlib
from collections.abc import Callable, Sequence
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

    def begin(self, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> Callable[[], list[Any]]:
        """Send calls, keys and arguments of each, to a server that is no cluster.

        What is returned waits for their answers, and is called once; it raises the first error among them. Where the
        server can not be reached they are all made anew then, one by one: they must be such as may be repeated.
        """

        def anew() -> list[Any]:
            return [self(*call) for call in calls]

        pool = self._client.connection_pool
        try:
            connection = pool.get_connection()
        except failures.RedisError:
            return anew
        commands = [("EVALSHA", self._sha, len(keys), *keys, *args) for keys, args in calls]
        try:
            connection.send_packed_command(connection.pack_commands(commands))
        except failures.RedisError:
            pool.release(connection)
            return anew

        def end() -> list[Any]:
            try:
                answers = [_answer(connection) for _ in calls]
            except failures.RedisError:
                connection.disconnect()  # answers may be on their way still
                return anew()
            finally:
                pool.release(connection)
            for place, answer in enumerate(answers):
                if isinstance(answer, failures.NoScriptError):
                    answers[place] = self(*calls[place])
                elif isinstance(answer, Exception):
                    raise answer
            return answers

        return end


def _answer(connection: Any) -> Any:
    """The next answer on a connection, be it an error of the script's."""
    try:
        return connection.read_response()
    except failures.ResponseError as error:
        return error
