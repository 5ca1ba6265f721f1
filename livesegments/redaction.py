"""The last thing that happens to a log line: no password of the settings is in it, whoever wrote it there."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pydantic import SecretStr

from contracts.redaction import STARS
from livesegments.settings import Settings

_SHORTEST: Final = 4
"""Of a shorter password, its letters would be starred out of every other word, and say what it is."""


def secrets(settings: Settings) -> Iterator[str]:
    """Every password in the settings."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
    for url in (settings.redis_url, settings.log_url):
        if not url.startswith("kafka:"):
            parts = urlsplit(url)
            asked = parse_qs(parts.query)
            yield from (parts.password or "", *asked.get("password", ()), *asked.get("ssl_password", ()))


class Redaction:
    """A processor for structlog, behind the one that renders: takes a line, gives it without these secrets."""

    def __init__(self, said: Iterable[str]) -> None:
        forms = {form for secret in said if len(secret) >= _SHORTEST for form in _forms(secret)}
        # The longest first: a password may be the beginning of another.
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, logger: Any, name: str, line: Any) -> str:  # noqa: ARG002 - structlog's signature
        """The line with stars."""
        text = str(line)
        for form in self._forms:
            text = text.replace(form, STARS)
        return text


def _forms(secret: str) -> Iterator[str]:
    """As it is, as it stands in a URL, in JSON, in Python."""
    for text in {secret, unquote(secret)}:
        yield from (text, quote(text), quote(text, safe=""), json.dumps(text)[1:-1], repr(text)[1:-1])
