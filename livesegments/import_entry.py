"""The table of an import in the settings file: put there or replaced, and all else left alone."""

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from contracts.errors import LivesegmentsError

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER: Final = re.compile(r"\s*\[")
_MARK: Final = "# Found out by `livesegments import`; corrections are welcome."


class EntryError(LivesegmentsError):
    """The settings file can not be changed; the text has what would have been written."""


def entry_place(name: str, shop: str | None = None) -> str:
    """Where the table of an import stands: of one of several shops, among what that shop says."""
    return f"imports.{_key(name)}" if shop is None else f"shops.{_key(shop)}.imports.{_key(name)}"


def entry_text(name: str, table: Mapping[str, Any], shop: str | None = None) -> str:
    """The table as TOML."""
    return "\n".join([*_lines(entry_place(name, shop), table, _MARK), ""])


def write_entry(path: Path, name: str, table: Mapping[str, Any], shop: str | None = None) -> bool:
    """Put the table into the file, which is made where there is none; whether anything changed. Raises EntryError."""
    path = path.resolve()
    try:
        # Not as text: ends of lines stay what they are.
        old = path.read_bytes().decode() if path.exists() else ""
        settings = tomllib.loads(old)
    except (OSError, ValueError) as error:
        raise EntryError(_by_hand(path, str(error), entry_text(name, table, shop))) from error
    above = settings if shop is None else settings.get("shops", {}).get(shop, {})
    if above.get("imports", {}).get(name) == table:
        return False
    entry = entry_text(name, table, shop)
    kept = _without(old, name, shop).rstrip("\r\n")
    end = "\r\n" if "\r\n" in old else "\n"
    text = (kept + 2 * end if kept else "") + entry.replace("\n", end)
    wanted = {**above, "imports": {**above.get("imports", {}), name: dict(table)}}
    if shop is not None:
        wanted = {**settings, "shops": {**settings.get("shops", {}), shop: wanted}}
    try:
        right = tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        right = False
    if not right:
        raise EntryError(_by_hand(path, f"{entry_place(name, shop)} stands there in a form of its own", entry))
    try:
        _replace(path, text)
    except OSError as error:
        raise EntryError(_by_hand(path, error.strerror or str(error), entry)) from error
    return True


def _by_hand(path: Path, why: str, entry: str) -> str:
    return f"{path} can not be changed: {why}. Put this into it by hand:\n{entry}"


def _without(text: str, name: str, shop: str | None) -> str:
    """The text without the tables of that import, and our comment above."""
    place = ["imports", name] if shop is None else ["shops", shop, "imports", name]
    keys = [f"(?:{re.escape(key)}|{re.escape(json.dumps(key))})" for key in place]
    own = re.compile(r"\s*\[\s*" + r"\s*\.\s*".join(keys) + r"\s*[.\]]")
    kept: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if _HEADER.match(line):
            inside = own.match(line) is not None
            if inside and kept and kept[-1].strip() == _MARK:
                kept.pop()
        if not inside:
            kept.append(line)
        elif line.strip() == _MARK:
            # The comment above another import, which follows.
            inside = False
            kept.append(line)
    return "".join(kept)


def _replace(path: Path, text: str) -> None:
    """Write it whole or not at all, readable for whom it was."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        Path(name).chmod(mode)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _lines(place: str, table: Mapping[str, Any], comment: str = "") -> list[str]:
    lines = [comment] if comment else []
    lines.append(f"[{place}]")
    lines += [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", *_lines(f"{place}.{_key(key)}", value)]
    return lines


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    # JSON's texts are TOML's, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
