"""Partitions in Redis whose writer dies before a write."""

from consumer.redis_images import RedisImages


class Killed(BaseException):
    """As if the process had gone."""


class DyingImages(RedisImages):
    """Raises Killed before the write after so many. Several may share the count: a list of one number."""

    def __init__(self, client, keys, left):
        super().__init__(client, keys)
        self._left = left

    def _before(name):  # noqa: N805 - makes methods
        def method(self, *arguments):
            self._left[0] -= 1
            if self._left[0] < 0:
                raise Killed
            return getattr(RedisImages, name)(self, *arguments)

        return method

    close_partition, clear, clear_rows = _before("close_partition"), _before("clear"), _before("clear_rows")
    put_kept, put_rows, put_shared = _before("put_kept"), _before("put_rows"), _before("put_shared")
    remove_rows, finish = _before("remove_rows"), _before("finish")
