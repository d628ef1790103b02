"""Files of a local folder as a source of bytes; it opens regular files only, and nothing outside what it listed."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

MAX_FILES = 20_000
MAX_DEPTH = 3  # folders below the model's own; weights lie in the topmost, remote code sometimes deeper


class FileLike(Protocol):
    """A file that a source offers: `name` is relative and POSIX, `size` in bytes, `sha256` '' where nobody knows it."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int | None: ...
    @property
    def sha256(self) -> str: ...


class ByteSource(Protocol):
    """Where a checkpoint's bytes come from: a folder, or ranges of a hub repository."""

    @property
    def files(self) -> Sequence[FileLike]: ...
    @property
    def is_far(self) -> bool:
        """Whether a read waits for a network, so that several at once end sooner."""
        ...

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a listed file; fewer where the file ends before. OSError where it can't be read."""
        ...


class LocalFile(NamedTuple):
    name: str
    size: int | None
    sha256: str = ""


class FolderBytes:
    """The regular files of a folder. Links to regular files count, as the hub's cache is made of them.

    FIFOs, devices, sockets, broken links and linked folders are not listed, so that none of them is ever opened.
    """

    is_far = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.files: tuple[LocalFile, ...] = tuple(sorted(self._listed("", 0)))[:MAX_FILES]
        self._names = {file.name for file in self.files}

    def read(self, name: str, start: int, stop: int) -> bytes:
        if name not in self._names:
            raise FileNotFoundError(f"{name} is no regular file of this folder")
        # O_NONBLOCK: since the listing somebody may have put a FIFO there, whose opening would wait for ever.
        handle = os.open(self.path / name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(f"{name} is no regular file")
            file.seek(start)
            return file.read(max(0, stop - start))

    def _listed(self, below: str, depth: int) -> list[LocalFile]:
        found: list[LocalFile] = []
        with os.scandir(self.path / below) as entries:
            for entry in entries:
                name = f"{below}{entry.name}"
                try:
                    name.encode("utf-8")
                    if entry.is_dir(follow_symlinks=False):
                        if depth < MAX_DEPTH and not entry.name.startswith("."):
                            found += self._listed(f"{name}/", depth + 1)
                        continue
                    state = entry.stat()
                except (OSError, UnicodeEncodeError):
                    continue  # a broken link, a folder that may not be entered, a name that is no text: nothing to read
                if stat.S_ISREG(state.st_mode):
                    found.append(LocalFile(name, state.st_size))
                if len(found) >= MAX_FILES:
                    break
        return found
