"""What a worker writes to whose rows alone are wanted: a log and views that keep nothing."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from logs.base import Headers, Placed
from recommender.store import at_end


class QuietWriter:
    """Takes every record for written. Whoever made the live rows has published these changes already."""

    def append(
        self,
        log: str,  # noqa: ARG002
        key: bytes | None,  # noqa: ARG002
        value: bytes,  # noqa: ARG002
        *,
        partition: int | None = None,
        headers: Headers = (),  # noqa: ARG002
    ) -> Future[Placed]:
        """Nothing is appended."""
        done: Future[Placed] = Future()
        done.set_result(Placed(partition or 0, 0))
        return done

    def flush(self, timeout: float | None = None) -> None:
        """Nothing waits."""

    def close(self, timeout: float | None = None) -> None:
        """Nothing to let go of."""


class QuietViews:
    """Forgets every view at once."""

    one_round_trip = True
    promotions = 0

    def set_many(self, views: Mapping[str, bytes], ttl_ms: int | None = None) -> None:
        """Nothing is written."""

    def begin_set_many(self, views: Mapping[str, bytes], ttl_ms: int) -> Callable[[], None]:  # noqa: ARG002
        """Nothing is written."""
        return at_end

    def delete_many(self, keys: Sequence[str]) -> None:
        """Nothing is there."""

    def get(self, key: str) -> bytes | None:  # noqa: ARG002
        """Nothing is there."""
        return None

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Nothing is there."""
        return [None] * len(keys)

    def get_fields(self, key: str, fields: Sequence[str]) -> list[bytes | None]:  # noqa: ARG002
        """Nothing is there."""
        return [None] * len(fields)

    def close(self) -> None:
        """Nothing to let go of."""
