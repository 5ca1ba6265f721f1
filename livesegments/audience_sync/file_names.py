"""Names of files made of names that people give."""

import re
from hashlib import blake2b
from typing import Final

_FIT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")


def file_name(name: str) -> str:
    """What the files of a sync begin with: the name, where any file system takes it; else made fit, with a hash.

    >>> file_name("bulk-buyers"), file_name("Bulk buyers")
    ('bulk-buyers', 'bulk-buyers-9c1faa')
    """
    if _FIT.fullmatch(name):
        return name
    fit = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50] or "audience"
    return f"{fit}-{blake2b(name.encode(), digest_size=3).hexdigest()}"
