"""Bytes that somebody sent, as text for a terminal: whatever they are, they are shown and control nothing."""

import contextlib
import json
from typing import Final

from livesegments.screen import plain

_SHOWN: Final = 64 * 1024
"""Bytes at most."""
_IN_A_LINE: Final = 16
_HEX_SHOWN: Final = 512


def readable(value: bytes) -> str:
    r"""JSON indented, other text line by line, and anything else as hexadecimal numbers.

    >>> print(readable(b'{"a": "x\\u001b"}'))
    {
      "a": "x\u001b"
    }
    >>> readable(b"\xff\x00A")
    'ff 00 41                                         ..A'
    """
    if not value:
        return "(no bytes)"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return _cut(_hex(value[:_HEX_SHOWN]), len(value), _HEX_SHOWN)
    if len(value) <= _SHOWN:
        with contextlib.suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return _cut("\n".join(plain(line) for line in text[:_SHOWN].split("\n")), len(value), _SHOWN)


def _cut(shown: str, size: int, most: int) -> str:
    return shown if size <= most else f"{shown}\n… ({size:,} bytes)"


def _hex(value: bytes) -> str:
    lines = []
    for start in range(0, len(value), _IN_A_LINE):
        part = value[start : start + _IN_A_LINE]
        letters = "".join(chr(one) if 32 <= one < 127 else "." for one in part)
        lines.append(f"{part.hex(' '):<{3 * _IN_A_LINE}} {letters}")
    return "\n".join(lines)
