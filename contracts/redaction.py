"""URLs as they may be shown: no password of ours in an error, a log line or on a screen."""

import re
from typing import Final

STARS: Final = "***"
_IN_QUERY: Final = re.compile(r"(?i)([?&](?:ssl_|sentinel_)?password=)[^&]*")


def without_password(url: str) -> str:
    """A URL whose passwords are starred out, before the server as in its query; also one that is none.

    >>> without_password("rediss://shop:secret@host:6379/0?ssl_ca_certs=ca.pem")
    'rediss://shop:***@host:6379/0?ssl_ca_certs=ca.pem'
    """
    scheme, colon, rest = url.partition("://") if "://" in url else ("", "", url)
    login, at, server = rest.rpartition("@")
    user, secret, _ = login.partition(":")
    shown = user + (f":{STARS}" if secret else "")
    return f"{scheme}{colon}{shown}{at}" + _IN_QUERY.sub(rf"\g<1>{STARS}", server)
