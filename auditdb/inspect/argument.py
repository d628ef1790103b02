"""Owns what MODEL[@REVISION] and `--as` mean, by syntax and by what lies on the disk; never asks a hub."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from auditdb.errors import NotAModel, SourceError, UsageError
from auditdb.inspect.folder import cached_as, is_folder, kind_of
from auditdb.inspect.secrets_out import scrub

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_HUB_NAME = re.compile(rf"{_PART}(?:/{_PART})?")
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*:/")


@dataclass(frozen=True)
class Argument:
    """What MODEL[@REVISION] means: a `folder` on disk, or a name on a hub, or both for a path in a hub cache."""

    model: str
    revision: str
    folder: Path | None = None
    notes: tuple[str, ...] = ()


def parse_model_argument(text: str) -> tuple[str, str]:
    """(model, revision) of MODEL[@REVISION]; the model of a folder is its resolved path, and its revision ''.

    A folder that exists wins over a hub's name, and an `@` in its path is no revision; a path in a hub cache is the
    model and the commit that the cache keeps there.

    Raises:
        UsageError: empty, an address, or nothing that a hub could know.
        SourceError: a path at which no folder is.
    """
    argument = parse(text)
    return argument.model, argument.revision


def parse(text: str) -> Argument:
    """As `parse_model_argument`, with the folder and notes."""
    text = text.strip()
    if not text:
        raise UsageError("The model's name is empty: give a folder, or ORG/NAME of a model on the hub.")
    if "\0" in text or not text.isprintable():
        raise UsageError("The model's name holds characters that can't be printed: give a folder or ORG/NAME.")
    path = _path(text)
    name, at, revision = text.partition("@")
    if is_folder(path):
        return _folder_argument(text, path)
    if os.path.lexists(path):
        raise _refuse_file(path)
    if _ADDRESS.match(text):  # not shown: it may hold a password, and in a place where nobody looks for one
        raise UsageError("The model was given as an address: give ORG/NAME[@REVISION], and the hub in HF_ENDPOINT.")
    if _HUB_NAME.fullmatch(name) and "--" not in name and ".." not in name:
        if at and not revision:
            raise UsageError(f"No revision follows the @ in {text!r}: give one, or leave the @ out.")
        unread = f"a folder {name} lies here and was not read, for a folder has no revision {revision!r}"
        return Argument(name, revision, notes=(unread,) if is_folder(name) else ())
    if at and is_folder(_path(name)):
        raise SourceError(f"{name} is a folder, and a folder has no revisions: leave @{revision} out, or use --as.")
    if _looks_like_path(text):
        raise SourceError(f"No folder is at {text}: check the path, or give ORG/NAME of a model on the hub.")
    raise UsageError(f"{scrub(text)!r} is neither a folder here nor a name on a hub: write ORG/NAME[@REVISION].")


def name_given(text: str) -> tuple[str, str]:
    """(name, revision) of `--as NAME[@REVISION]`.

    Raises:
        UsageError: no name, or an @ without a revision.
    """
    name, at, revision = text.strip().partition("@")
    if not name or (at and not revision) or not text.strip().isprintable():
        raise UsageError(f"--as takes NAME or NAME@REVISION, and {text.strip()!r} is neither.")
    return name, revision


def _path(text: str) -> Path:
    # Unlike Path.expanduser, this leaves the name of an unknown user as it is, rather than raise.
    return Path(os.path.expanduser(text))  # noqa: PTH111


def _folder_argument(text: str, path: Path) -> Argument:
    if found := cached_as(path):
        return Argument(found[0], found[1], Path(os.path.normpath(path.absolute())))
    folder = Path(os.path.realpath(path))
    if not str(folder).isprintable():
        raise UsageError("The folder's full path holds characters that can't be printed: rename what it lies in.")
    wins = f"{text} is a folder here, which wins over a model of that name on a hub"
    return Argument(str(folder), "", folder, (wins,) if _HUB_NAME.fullmatch(text) else ())


def _looks_like_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~")) or text.count("/") > 1 or text.endswith("/") or "\\" in text


def _refuse_file(path: Path) -> SourceError:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return SourceError(f"{path} can't be followed ({error.strerror}): check the link.")
    if not stat.S_ISREG(mode):
        return NotAModel(f"{path} is {kind_of(mode)}: give a model's folder, or ORG/NAME of a model on the hub.")
    what = {".gguf": "a GGUF file", ".onnx": "an ONNX file", ".engine": "a TensorRT-LLM engine"}.get(path.suffix)
    if what:
        return NotAModel(f"{path} is {what}, not a transformers model: audit the model that it was made from.")
    return NotAModel(f"{path} is a file: give the folder that it lies in.")
