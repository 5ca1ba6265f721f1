"""Where changes are sent: the endpoints of the settings, judged before anything is sent."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from contracts.errors import LivesegmentsError
from livesegments.webhooks.messages import TYPES

MOST_ENDPOINTS: Final = 100
MOST_CHANGES: Final = 1_000
"""In one request."""
MOST_AT_A_TIME: Final = 256
"""Requests to one endpoint."""
AT_A_TIME: Final = 16
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLACE: Final = re.compile(r"(env|file):(\S.*)")
_FIELDS: Final = ("url", "secrets", "kinds", "segments", "audiences", "max_changes", "max_requests")


class WebhookSettingError(LivesegmentsError):
    """What the settings say of an endpoint can not be used."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver of changes."""

    name: str
    url: str = field(repr=False)
    """May hold what only the receiver should know: logs and pages show `shown_url`."""
    secrets: tuple[str, ...]
    """Where signing secrets stand: env:VARIABLE or file:PATH."""
    kinds: frozenset[str] = frozenset(TYPES)
    segments: tuple[int | str, ...] = ()
    """Ids or names."""
    audiences: frozenset[str] = frozenset()
    max_changes: int = 1
    max_requests: int = AT_A_TIME

    @property
    def shown_url(self) -> str:
        """Scheme and host: what may be shown to anybody."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def read_endpoints(tables: Mapping[str, Mapping[str, Any]], *, plain_http: bool) -> dict[str, Endpoint]:
    """Endpoints by name; `plain_http` allows http:// to other machines. Raises WebhookSettingError."""
    if len(tables) > MOST_ENDPOINTS:
        raise WebhookSettingError(f"webhooks: expected {MOST_ENDPOINTS} endpoints at most, not {len(tables)}")
    return {name: _read(name, table, plain_http=plain_http) for name, table in tables.items()}


def _read(name: str, table: object, *, plain_http: bool) -> Endpoint:
    if not _NAME.fullmatch(name):
        raise WebhookSettingError(f"webhooks: {name!r} is no name: letters, digits, and . _ - may be in it, 64 at most")
    if not isinstance(table, Mapping):
        raise WebhookSettingError(f'webhooks.{name}: expected a table such as {{url = "https://…", secrets = […]}}')
    if unknown := set(table) - set(_FIELDS):
        raise WebhookSettingError(f"webhooks.{name}: {min(unknown)!r} is not known: {', '.join(_FIELDS)} are")
    return Endpoint(
        name=name,
        url=checked_url(f"webhooks.{name}.url", table.get("url"), plain_http=plain_http),
        secrets=secret_places(f"webhooks.{name}.secrets", table.get("secrets")),
        kinds=_kinds(name, table.get("kinds")),
        segments=_segments(name, table.get("segments", ())),
        audiences=frozenset(_texts(f"webhooks.{name}.audiences", table.get("audiences", ()))),
        max_changes=_number(name, "max_changes", table.get("max_changes", 1), MOST_CHANGES),
        max_requests=_number(name, "max_requests", table.get("max_requests", AT_A_TIME), MOST_AT_A_TIME),
    )


def checked_url(place: str, url: object, *, plain_http: bool) -> str:
    """The URL, if requests may be sent there; `place` is where the settings have it. Raises WebhookSettingError."""
    if not isinstance(url, str) or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise WebhookSettingError(f"{place}: expected https://host/path")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise WebhookSettingError(f"{place}: expected https://host/path, with a port up to 65535") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise WebhookSettingError(f"{place}: expected https://host/path")
    if not _is_host(url):
        raise WebhookSettingError(f"{place}: its host can not be the name of a machine")
    if "@" in parts.netloc:
        raise WebhookSettingError(f"{place}: a log-in does not belong into it: what is sent is signed")
    if parts.fragment:
        raise WebhookSettingError(f"{place}: what stands behind # is never sent: leave it out")
    if parts.scheme == "http" and not (plain_http or _is_this_machine(parts.hostname)):
        raise WebhookSettingError(
            f"{place}: customers' ids would be sent unencrypted: take https://, or set webhook_plain_http"
        )
    return url


def _is_host(url: str) -> bool:
    """Whether what sends can ask for its host: that judges names more closely than urlsplit does."""
    import httpx  # noqa: PLC0415 - it takes its time, and most commands look at no endpoint

    try:
        httpx.Request("POST", url).url.raw_host.decode().encode("idna")
    except (httpx.InvalidURL, ValueError):  # UnicodeError and what idna raises, too
        return False
    return True


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secret_places(setting: str, said: object) -> tuple[str, ...]:
    """Where secrets stand, as the setting of that name has it. Raises WebhookSettingError."""
    places = _texts(setting, said)
    for place in places:
        # Never quoted: somebody may have put the secret itself here.
        if not _PLACE.fullmatch(place):
            raise WebhookSettingError(
                f"{setting}: expected where secrets stand, env:VARIABLE or file:PATH, not secrets"
            )
    if not places:
        raise WebhookSettingError(f"{setting}: name at least one: env:VARIABLE or file:PATH")
    return tuple(places)


def _kinds(name: str, said: object) -> frozenset[str]:
    if said is None:
        return frozenset(TYPES)
    kinds = _texts(f"webhooks.{name}.kinds", said)
    for kind in kinds:
        if kind not in TYPES:
            raise WebhookSettingError(f"webhooks.{name}.kinds: {kind!r} is not one of {', '.join(TYPES)}")
    if not kinds:
        raise WebhookSettingError(f"webhooks.{name}.kinds: none would be sent: leave it out for all")
    return frozenset(kinds)


def _segments(name: str, said: object) -> tuple[int | str, ...]:
    if not isinstance(said, list | tuple) or any(
        isinstance(one, bool) or not isinstance(one, int | str) or one == "" for one in said
    ):
        raise WebhookSettingError(f"webhooks.{name}.segments: expected a list of ids and names of segments")
    return tuple(said)


def _texts(setting: str, said: object) -> list[str]:
    if not isinstance(said, list | tuple) or not all(isinstance(one, str) and one for one in said):
        raise WebhookSettingError(f"{setting}: expected a list of texts")
    return list(said)


def _number(name: str, field_name: str, said: object, most: int) -> int:
    if isinstance(said, bool) or not isinstance(said, int) or not 1 <= said <= most:
        raise WebhookSettingError(f"webhooks.{name}.{field_name}: expected a whole number from 1 to {most:,}")
    return said
