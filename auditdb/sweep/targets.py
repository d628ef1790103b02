"""Which models a sweep is about: lines of files, folders of folders, standard input. Audits nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from auditdb.errors import SourceError

MAX_DEPTH = 4  # folders below one that is named: enough for a hub cache and for ORG/NAME trees


def find_models(texts: Sequence[str], stdin: Iterable[str]) -> list[str]:
    """Model ids and folders in the order given, each once. A text is a folder, a file of ids (`#` comments), or `-`.

    A folder with a config.json is a model; any other is searched for such folders. Raises SourceError for a text that
    is neither there nor shaped like ORG/NAME, and for a folder without a model.
    """
    found: dict[str, None] = {}
    for text in texts:
        for model in _models(text, stdin):
            found.setdefault(model)
    return list(found)


def _models(text: str, stdin: Iterable[str]) -> Iterator[str]:
    if text == "-":
        try:
            yield from _lines(stdin)
        except UnicodeDecodeError as error:
            raise SourceError(f"standard input can't be read as a list of models: {error}") from error
        return
    path = Path(text)
    if path.is_dir():
        models = list(_folders(path, MAX_DEPTH))
        if not models:
            raise SourceError(f"{text} holds no folder with a config.json; name a folder of models, or a file of ids")
        yield from models
    elif path.is_file():
        try:
            yield from _lines(path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{text} can't be read as a list of models: {error}") from error
    elif text.count("/") == 1 and not text.startswith((".", "/", "~")):
        yield text
    else:
        raise SourceError(f"{text} is no folder, no file, and no ORG/NAME")


def _lines(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        model = line.partition("#")[0].strip()
        if model:
            yield model


def _folders(path: Path, depth: int) -> Iterator[str]:
    if (path / "config.json").is_file():
        yield str(path)
        return
    if depth == 0:
        return
    for child in sorted(path.iterdir()):
        if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
            yield from _folders(child, depth - 1)
