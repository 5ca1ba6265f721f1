"""An asyncio reader as if it were a blocking one, so that both stand under one suite of tests."""

import asyncio
import inspect
import threading
from typing import Any, Self


class Blocking:
    """Runs an event loop in a thread, makes something in it, and waits for each of its coroutines."""

    def __init__(self, make) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

        async def made() -> Any:
            return make()

        self._made = self._run(made())

    def _run(self, coroutine) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=60)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._made, name)
        if not inspect.iscoroutinefunction(attribute):
            return attribute
        return lambda *args, **kwargs: self._run(attribute(*args, **kwargs))

    def close(self) -> None:
        self._run(self._made.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
