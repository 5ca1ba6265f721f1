"""Somebody who takes in what an audience sync hands on: by the files, or by the requests, alone."""

import csv
import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

from livesegments.audience_sync.file_names import file_name


def text_of(cell: str) -> str:
    """A cell without what keeps it from being a formula."""
    return cell.removeprefix("'")


def rows_of(file: Path) -> list[dict[str, str]]:
    """A file's rows by header."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [{name: text_of(cell) for name, cell in row.items()} for row in csv.DictReader(lines)]


@dataclass
class FolderReceiver:
    """Follows a manifest; takes each delivery in once, and remembers what it was told."""

    folder: Path
    name: str
    members: set[str] = field(default_factory=set)
    hashes: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    last: tuple[str, int] = ("", 0)

    def follow(self) -> None:
        """Take in what is new. Fails where a file is not what the manifest says, or was another before."""
        manifest = self.folder / f"{file_name(self.name)}.manifest.json"
        if not manifest.exists():
            return
        told = json.loads(manifest.read_bytes())
        deliveries = told["deliveries"]
        assert deliveries[0]["kind"] == "full"
        assert [one["sequence"] for one in deliveries] == list(
            range(deliveries[0]["sequence"], told["sequence"] + 1)
        ), "a delivery is missing"
        known = self.last[1] if self.last[0] == told["stream"] else 0
        for one in deliveries:
            hashes = [self._checked(file) for file in one["files"]]
            place = (told["stream"], one["sequence"])
            assert self.hashes.setdefault(place, hashes) == hashes, f"delivery {place} was another before"
            if one["sequence"] > known:
                self._take(one)
                known = one["sequence"]
        self.last = (told["stream"], told["sequence"])

    def _checked(self, file: dict) -> str:
        content = (self.folder / file["file"]).read_bytes()
        assert len(content) == file["bytes"]
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        return file["sha256"]

    def _take(self, delivery: dict) -> None:
        for file in delivery["files"]:
            lines = csv.reader(io.StringIO((self.folder / file["file"]).read_bytes().decode(), newline=""))
            next(lines)
            contacts = [text_of(row[0]) for row in lines]
            assert len(contacts) == len(set(contacts)) == file["rows"]
            self._change(file["change"], set(contacts))
        assert len(self.members) == delivery["members"]

    def _change(self, change: str, contacts: set[str]) -> None:
        if change == "full":
            self.members = contacts
        elif change == "entered":
            assert not contacts & self.members, "told twice"
            self.members = self.members | contacts
        else:
            assert contacts <= self.members, "told twice"
            self.members = self.members - contacts
