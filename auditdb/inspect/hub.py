"""Owns finding a model on a hub or in its cache: commit, file list, config; never fetches a weight, never runs code."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from auditdb.errors import SourceError, Unreachable, UsageError
from auditdb.inspect import hub_client
from auditdb.inspect.folder import FolderReader, Reader, SourceFile, list_folder, refuse_stray_name
from auditdb.inspect.foreign import json_reader, refuse_without_config
from auditdb.inspect.hub_errors import Asked
from auditdb.inspect.hub_ranges import Ranges
from auditdb.inspect.json_text import MAX_BYTES

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

CONFIG = "config.json"
COMMIT = re.compile(r"[0-9a-f]{40}")
_TRUE = {"1", "ON", "YES", "TRUE"}  # what huggingface_hub takes for yes


@dataclass(frozen=True)
class Found:
    """A model on a hub at one commit. `folder` is its snapshot in the cache, with at least the config in it.

    `incomplete` tells why `files` are only those in the cache; '' where they are all.
    """

    repo: str
    commit: str
    config: bytes
    folder: Path
    files: tuple[SourceFile, ...]
    reader: Reader
    notes: tuple[str, ...] = ()
    incomplete: str = ""


def offline() -> str:
    """The variable that forbids the network, '' if none does.

    Not every release of huggingface_hub knows TRANSFORMERS_OFFLINE, so auditdb looks for both.
    """
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").upper() in _TRUE:
            return name
    return ""


def find(repo: str, revision: str, token: str | None = None) -> Found:
    """The model at this revision ('' = the default branch), from the hub, or offline from its cache.

    Raises:
        NotAModel: there is no config.json; the sentence names what is there.
        SourceError, Unreachable, UsageError: one sentence for each way in which a hub refuses.
    """
    asked = hub_client.asked_of(repo, revision, token)
    found = _find_in_cache(asked, variable) if (variable := offline()) else _find_on_hub(asked)
    if revision == found.commit:
        return found
    moves = f"{revision!r} was asked for, and may move" if revision else "no revision was asked for, and a branch moves"
    pin = f"{moves}: {repo}@{found.commit} names what was audited for good"
    return replace(found, notes=(*found.notes, pin))


@dataclass(frozen=True)
class HubReader:
    """Reads files of one commit: from the cache where a file lies there whole, else by range from the hub."""

    asked: Asked
    commit: str
    folder: Path
    ranges: Ranges = field(repr=False)

    def read(self, name: str, start: int, stop: int) -> bytes:
        refuse_stray_name(name)
        if (self.folder / name).is_file():
            return FolderReader(self.folder).read(name, start, stop)
        if variable := offline():
            raise Unreachable(_not_cached(f"{name} of {self.asked.repo}", variable))
        return self.ranges.read(name, start, stop)

    def fetch(self, name: str) -> Path:
        refuse_stray_name(name)
        path = self.folder / name
        if path.is_file():
            return path
        if variable := offline():
            raise Unreachable(_not_cached(f"{name} of {self.asked.repo}", variable))
        return hub_client.download(self.asked, name, self.commit)


def _find_on_hub(asked: Asked) -> Found:
    info = hub_client.info(asked, asked.revision or None)
    commit = str(info.sha or "")
    if not COMMIT.fullmatch(commit):
        raise Unreachable(f"What answers at {asked.host} is no hub (it names no commit): check HF_ENDPOINT.")
    files, notes = _files(info)
    sizes = {file.name: file.size for file in files}
    if CONFIG not in sizes:
        raise _no_config(asked, commit, files)
    if (sizes[CONFIG] or 0) > MAX_BYTES:
        raise SourceError(hub_client.too_large(asked, CONFIG, sizes[CONFIG]))
    path = hub_client.download(asked, CONFIG, commit)
    if info.id and info.id != asked.repo:
        notes = (*notes, f"the hub calls this model {info.id}")
    return Found(asked.repo, commit, _bytes_of(path), path.parent, files, _reader(asked, commit, path.parent), notes)


def _find_in_cache(asked: Asked, variable: str) -> Found:
    from huggingface_hub import try_to_load_from_cache

    try:
        cached = try_to_load_from_cache(asked.repo, CONFIG, revision=asked.revision or None)
    except ValueError:  # the client's check of names
        raise UsageError(f"{asked.repo!r} is neither a folder here nor the name of a model: write ORG/NAME.") from None
    if not isinstance(cached, str):
        raise Unreachable(_not_cached(str(asked), variable))
    path = Path(cached)
    files, notes = list_folder(path.parent)
    commit = hub_client.commit_of(path)
    reader = _reader(asked, commit, path.parent)
    notes = (*notes, f"offline ({variable}): config and file list are those of the cache")
    incomplete = f"{variable} forbids asking the hub: unset it, or run once online before"
    return Found(asked.repo, commit, _bytes_of(path), path.parent, files, reader, notes, incomplete)


def _not_cached(what: str, variable: str) -> str:
    return f"{what} is not in the cache, and {variable} forbids asking the hub: unset it, or run once online before."


def _files(info: ModelInfo) -> tuple[tuple[SourceFile, ...], tuple[str, ...]]:
    files, notes = [], []
    for sibling in info.siblings or ():
        try:
            refuse_stray_name(sibling.rfilename)
        except SourceError:
            notes.append(f"the hub's list names {sibling.rfilename!r}, which leads out of the model: left out")
            continue
        if sibling.rfilename.startswith("."):  # .gitattributes and the like are no part of a model
            continue
        sha256 = getattr(sibling.lfs, "sha256", "") or ""
        files.append(SourceFile(sibling.rfilename, sibling.size, sha256))
    return tuple(sorted(files, key=lambda file: file.name)), tuple(notes)


def _no_config(asked: Asked, commit: str, files: tuple[SourceFile, ...]) -> SourceError:
    ranges = hub_client.ranges(asked, commit)
    where = str(asked)
    read_json = json_reader(lambda name: ranges.read(name, 0, MAX_BYTES + 1), where)
    return refuse_without_config(where, [file.name for file in files], read_json, on_disk=False)


def _reader(asked: Asked, commit: str, folder: Path) -> HubReader:
    return HubReader(asked, commit, folder, hub_client.ranges(asked, commit))


def _bytes_of(path: Path) -> bytes:
    return FolderReader(path.parent).read(path.name, 0, MAX_BYTES + 1)


def code_elsewhere(repo: str, module: str, token: str | None) -> tuple[str, Path, tuple[SourceFile, ...]]:
    """(commit, folder, code files in it) of a repository whose file `module` another model's `auto_map` points at.

    Raises:
        SourceError, Unreachable: as `find`.
    """
    asked = hub_client.asked_of(repo, "", token)
    if variable := offline():
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(repo, module)
        if not isinstance(cached, str):
            raise Unreachable(_not_cached(f"{module} of {repo}", variable))
        folder = Path(cached).parents[module.count("/")]
        return (
            hub_client.commit_of(Path(cached)),
            folder,
            tuple(file for file in list_folder(folder)[0] if is_code(file)),
        )
    info = hub_client.info(asked, None)
    commit = str(info.sha or "")
    files = tuple(file for file in _files(info)[0] if is_code(file))
    if not files:
        raise SourceError(f"{asked} holds no code, and a model's auto_map says that it does: check the model.")
    paths = [hub_client.download(asked, file.name, commit) for file in files]
    return commit, paths[0].parents[files[0].name.count("/")], files


def is_code(file: SourceFile) -> bool:
    """Whether remote code may lie in this file."""
    return file.name.endswith(".py")
