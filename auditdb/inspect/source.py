"""Owns where a model comes from: a folder, a hub, or a hub's cache; never builds a model, never runs its code.

Nothing here imports torch or transformers, and huggingface_hub is imported only where a hub is asked.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from auditdb.errors import NotAModel, SourceError, Unreachable, UsageError
from auditdb.inspect.argument import Argument, name_given, parse, parse_model_argument
from auditdb.inspect.folder import (
    FolderReader,
    Reader,
    SourceFile,
    digest_file,
    folder_revision,
    kind_of,
    list_folder,
)
from auditdb.inspect.foreign import json_reader, notes_on_company, refuse_foreign_config, refuse_without_config
from auditdb.inspect.json_text import MAX_BYTES, load_config

__all__ = ["Source", "SourceFile", "load_config", "parse_model_argument", "resolve"]


@dataclass(frozen=True)
class Source:
    """A model with everything that is known before its class is built.

    `revision` is the full commit on a hub, `local-<12 hex>` for a folder (a digest over the config and all `*.py`), or
    what `--as` says. `requested` is the revision that was asked for, '' if none. `folder` is the folder itself, or the
    snapshot in the hub cache; remote code would be loaded from there. `files` are those that belong to the model,
    whether or not their bytes are on this machine; where `incomplete` is not '', it says why they are only those in
    the cache, and what to do about it.
    """

    kind: Literal["folder", "hub"]
    model: str
    revision: str
    requested: str
    config_text: str
    config: dict[str, Any]
    folder: Path
    files: tuple[SourceFile, ...]
    notes: tuple[str, ...]
    reader: Reader = field(repr=False, compare=False)
    incomplete: str = ""

    @property
    def is_far(self) -> bool:
        """Whether a read may wait for a network, so that several at once end sooner."""
        return self.kind == "hub"

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` (excluded) of one file, fewer only where it ends; from disk, or by an HTTP range.

        Raises:
            SourceError: no such file, or unreadable.
            Unreachable: the hub did not give it, or offline mode forbids asking.
        """
        self._refuse_unlisted(name)
        return self.reader.read(name, start, stop)

    def read_all(self, name: str, limit: int) -> bytes:
        """The whole file of at most `limit` bytes.

        Raises:
            SourceError, Unreachable: as `read`; also where the file is larger.
        """
        data = self.read(name, 0, limit + 1)
        if len(data) > limit:
            raise SourceError(f"{name} of {self.model} has more than {limit:,} bytes: check the file.")
        return data

    def fetch(self, name: str) -> Path:
        """One small file as a whole on this machine's disk, fetched into the hub cache where it is not yet.

        Raises:
            SourceError, Unreachable: as `read`.
        """
        self._refuse_unlisted(name)
        return self.reader.fetch(name)

    def _refuse_unlisted(self, name: str) -> None:
        if any(file.name == name for file in self.files):
            return
        if self.incomplete:
            raise Unreachable(f"{name} of {self.model} is not in the cache, and {self.incomplete}.")
        raise SourceError(f"{self.model} has no file {name!r}: what names it is out of step with the files.")


def resolve(model: str, *, recorded_as: str | None = None, token: str | None = None) -> Source:
    """The source of MODEL[@REVISION]. `recorded_as` is NAME[@REVISION] for a folder; `token` is for the hub.

    Raises:
        UsageError: the argument is malformed, or `recorded_as` is given with a hub's name.
        NotAModel: something is there, but no transformers model.
        SourceError, Unreachable: it can't be had; the sentence says why, and what to do.
    """
    argument = parse(model)
    if argument.folder is not None:
        return _from_folder(argument, argument.folder, recorded_as)
    if recorded_as is not None:
        raise UsageError(f"--as names a model in a local folder, and {argument.model} is one on a hub: leave --as out.")
    return _from_hub(argument, token)


def _from_folder(argument: Argument, folder: Path, recorded_as: str | None) -> Source:
    files, notes = list_folder(folder)
    names = [file.name for file in files]
    reader = FolderReader(folder)
    where = str(folder)
    if "config.json" not in names:
        problem = _no_config(folder) or refuse_without_config(
            where, names, json_reader(lambda name: reader.read(name, 0, MAX_BYTES + 1), where), on_disk=True
        )
        hint = f" ({argument.notes[0]})" if argument.notes else ""
        raise type(problem)(f"{problem}{hint}")
    data = reader.read("config.json", 0, MAX_BYTES + 1)
    config = _config(data, str(folder / "config.json"), where, names)
    kind: Literal["folder", "hub"] = "folder"
    incomplete = ""
    model, revision, requested = argument.model, argument.revision, argument.revision
    notes = (*argument.notes, *notes, *notes_on_company(names))
    if revision and recorded_as is None:
        kind = "hub"
        notes = (*notes, "a path in the hub cache: only the files that it holds were looked at")
        incomplete = f"a path is never fetched from a hub: give {model}@{revision} to have it fetched"
    else:
        code = [(name, digest_file(folder / name)) for name in names if name.endswith(".py")]
        revision, requested = folder_revision(data, code), ""
    if recorded_as is not None:
        model, requested = name_given(recorded_as)
        revision = requested or revision
        notes = (*notes, f"recorded as {model} on the user's word; the files are those of {folder}")
    text = data.decode("utf-8")
    return Source(kind, model, revision, requested, text, config, folder, files, notes, reader, incomplete)


def _from_hub(argument: Argument, token: str | None) -> Source:
    from auditdb.inspect import hub

    found = hub.find(argument.model, argument.revision, token)
    names = [file.name for file in found.files]
    where = f"{argument.model}@{found.commit}"
    config = _config(found.config, f"config.json of {where}", where, names)
    return Source(
        kind="hub",
        model=argument.model,
        revision=found.commit,
        requested=argument.revision,
        config_text=found.config.decode("utf-8"),
        config=config,
        folder=found.folder,
        files=found.files,
        notes=(*argument.notes, *found.notes, *notes_on_company(names)),
        reader=found.reader,
        incomplete=found.incomplete,
    )


def _config(data: bytes, file: str, where: str, names: list[str]) -> dict[str, Any]:
    config = load_config(data, file)
    if problem := refuse_foreign_config(where, config, names):
        raise problem
    return config


def _no_config(folder: Path) -> SourceError | None:
    """Why a config.json that is there by name is no file to read; None where there is none by name either."""
    path = folder / "config.json"
    if not os.path.lexists(path):
        return None
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return SourceError(f"{path} can't be followed ({error.strerror}): check the link.")
    return NotAModel(f"{path} is {kind_of(mode)}, and a regular file is needed: give a model's folder.")
