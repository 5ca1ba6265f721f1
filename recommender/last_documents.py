"""The documents a reader saw last, for when Redis does not answer."""


class LastDocuments:
    """A bounded memory of documents; what was put longest ago makes room. Safe to use from several threads.

    Parameters:
        limit: most documents.
        max_age: seconds after which one is no longer handed out: its customer may have been forgotten meanwhile.
    """

    def __init__(self, limit: int, max_age: float) -> None:
        self._limit = limit
        self._max_age = max_age
        self._documents: dict[str, tuple[bytes, float]] = {}

    def put(self, key: str, document: bytes | None, now: float) -> None:
        """Remember what was read at this moment (monotonic seconds); None, nothing there, forgets the key."""
        documents = self._documents
        # Each step is atomic by itself, and none relies on the one before: no lock on every read.
        documents.pop(key, None)
        if document is None or self._limit <= 0:
            return
        documents[key] = (document, now)
        while len(documents) > self._limit:
            try:
                documents.pop(next(iter(documents)), None)
            except (RuntimeError, StopIteration):
                return  # another thread changed it: that one makes room, or the next put does

    def get(self, key: str, now: float) -> bytes | None:
        """The document as it was last, if that is not too long ago."""
        found = self._documents.get(key)
        if found is None:
            return None
        document, at = found
        return document if now - at <= self._max_age else None
