"""Owns model files on this machine's disk: lists them and reads ranges; never follows a name out of its folder,
never waits for a pipe, and knows nothing of hubs."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from auditdb.errors import NotAModel, SourceError

MAX_LEVELS = 3  # files of a model lie at the top or one level below; a training folder may hold anything further down
MAX_FILES = 20_000
_LONGEST_NAME = 255  # bytes; what file systems take
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CACHE = re.compile(r"/models--(?P<repo>[^/]+)/snapshots/(?P<commit>[0-9a-f]{40})(?P<inside>/.*)?$")


class SourceFile(NamedTuple):
    """One file of a model. `name` is relative, with forward slashes; `sha256` is '' where nobody told it."""

    name: str
    size: int | None  # bytes
    sha256: str = ""


class Reader(Protocol):
    """Where the bytes of a model's files come from."""

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` (excluded) of one file; fewer only where the file ends before."""

    def fetch(self, name: str) -> Path:
        """The whole file on this machine's disk; for small files such as code."""


def refuse_stray_name(name: str) -> None:
    """A name in an index or in a hub's list is a stranger's text: it must stay in the model's folder."""
    parts = name.split("/")
    too_long = any(len(part.encode("utf-8", "surrogatepass")) > _LONGEST_NAME for part in parts)
    if not name or name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or too_long:
        raise SourceError(f"{name!r} can't be a file in the model's folder: the index or the list is not sound.")


def is_folder(path: str | Path) -> bool:
    """Whether a folder is there; unlike `Path.is_dir`, it never raises, however long or odd the name."""
    return os.path.isdir(path)  # noqa: PTH112


def open_regular(path: Path) -> int:
    """A descriptor for a regular file. A pipe is opened without waiting for its writer, and refused.

    Raises:
        SourceError: not there, not readable, a loop of links, or no regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise SourceError(f"{path} can't be read ({error.strerror}): check the file and its permissions.") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise NotAModel(f"{path} is {kind_of(mode)}, and a regular file is needed.")
    return descriptor


def kind_of(mode: int) -> str:
    """A file's kind in words, from `st_mode`."""
    for test, words in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return words
    return "no regular file"


@dataclass(frozen=True)
class FolderReader:
    """Reads from one folder; names are those that `list_folder` gives."""

    folder: Path

    def read(self, name: str, start: int, stop: int) -> bytes:
        path = self.fetch(name)
        descriptor = open_regular(path)
        with os.fdopen(descriptor, "rb") as file:
            try:
                file.seek(start)
                return file.read(max(0, stop - start))
            except OSError as error:
                raise SourceError(f"{path} can't be read ({error.strerror}): check the disk.") from None

    def fetch(self, name: str) -> Path:
        refuse_stray_name(name)
        return self.folder / name


def list_folder(folder: Path) -> tuple[tuple[SourceFile, ...], tuple[str, ...]]:
    """The regular files of a folder, sorted by name, and notes on what was left out.

    Hidden entries are no part of a model; links to folders are not followed, links to files are (a hub cache consists
    of them, and the name of the linked blob is its sha256 where it has 64 hexadecimal digits).

    Raises:
        SourceError: the folder itself can't be listed.
    """
    files: list[SourceFile] = []
    notes: list[str] = []
    level = [folder]
    for _ in range(MAX_LEVELS):
        below: list[Path] = []
        for place in sorted(level):
            try:
                entries = sorted(os.scandir(place), key=lambda entry: entry.name)
            except OSError as error:
                if place == folder:
                    raise SourceError(
                        f"The folder {folder} can't be listed ({error.strerror}): check its permissions."
                    ) from None
                notes.append(f"{place.relative_to(folder).as_posix()}/ could not be listed ({error.strerror})")
                continue
            for entry in entries:
                name = Path(entry.path).relative_to(folder).as_posix()
                if entry.name.startswith("."):
                    continue
                if not entry.name.isprintable():  # bytes that are no UTF-8 among them: no report could hold them
                    notes.append(f"{name!a} was left out: its name can't be printed")
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(Path(entry.path))
                    continue
                try:
                    status = entry.stat()
                except OSError as error:
                    notes.append(f"{name} is not readable and was left out ({error.strerror})")
                    continue
                if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                    notes.append(f"{name} is {kind_of(status.st_mode)} and was left out")
                if stat.S_ISREG(status.st_mode):
                    files.append(SourceFile(name, status.st_size, _blob_digest(Path(entry.path))))
        if len(files) > MAX_FILES:
            notes.append(f"only the first {MAX_FILES:,} files of the folder were listed")
            files = files[:MAX_FILES]
            break
        level = below
    return tuple(sorted(files)), tuple(notes)


def _blob_digest(path: Path) -> str:
    if not path.is_symlink():
        return ""
    target = path.readlink()
    return target.name if target.parent.name == "blobs" and _SHA256.fullmatch(target.name) else ""


def digest_file(path: Path) -> str:
    """The sha256 of a regular file's content.

    Raises:
        SourceError: it can't be read.
    """
    digest = hashlib.sha256()
    with os.fdopen(open_regular(path), "rb") as file:
        try:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        except OSError as error:
            raise SourceError(f"{path} can't be read ({error.strerror}): check the disk.") from None
    return digest.hexdigest()


def folder_revision(config: bytes, code: Iterable[tuple[str, str]]) -> str:
    """`local-<12 hex>`: a digest over the config's bytes and the (name, sha256) pairs of the remote-code files."""
    digest = hashlib.sha256()
    for name, sha256 in [("config.json", hashlib.sha256(config).hexdigest()), *sorted(code)]:
        digest.update(f"{name}\0{sha256}\n".encode("utf-8", "surrogateescape"))
    return f"local-{digest.hexdigest()[:12]}"


def cached_as(path: Path, *, inside: bool = False) -> tuple[str, str] | None:
    """(model, commit) if the path is a snapshot in a hub cache, `…/models--ORG--NAME/snapshots/<commit>`; else None.

    A folder further down is another model than the whole, and counts only with `inside`.
    """
    for spelling in (os.path.normpath(path.absolute()), os.path.realpath(path)):
        found = _CACHE.search(Path(spelling).as_posix())
        if found and (inside or not found["inside"]):
            return found["repo"].replace("--", "/", 1), found["commit"]
    return None
