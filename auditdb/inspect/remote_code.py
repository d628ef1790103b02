"""Owns the list of remote-code files that a model brings, with digests; reads and fetches them, never runs one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditdb.errors import SourceError
from auditdb.inspect.folder import digest_file
from auditdb.inspect.source import Source
from auditdb.records import CodeFile

_REFERENCE = re.compile(r"(?:(?P<repo>[^/\s]+(?:/[^/\s]+)?)--)?(?P<module>[\w/-]+)\.\w+")


def find_code_files(source: Source, token: str | None = None) -> tuple[CodeFile, ...]:
    """Each `*.py` of the model, and those of other repositories that its `auto_map` names, with their sha256.

    Files of a hub are fetched into its cache, from where transformers runs them: call this only where the user trusts
    remote code. A file of another repository is written `ORG/NAME@<commit>:file.py`.

    Raises:
        SourceError: `auto_map` names a file that is not there, or is no map of names.
        Unreachable: the hub did not give a file.
    """
    names = {file.name for file in source.files}
    found = [CodeFile(name, digest_file(source.fetch(name))) for name in sorted(names) if name.endswith(".py")]
    elsewhere: dict[str, str] = {}
    for reference in _references(source):
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise SourceError(f"auto_map of {source.model} names {reference!r}, which is no class in a file: fix it.")
        module = match["module"] + ".py"
        if match["repo"]:
            elsewhere.setdefault(match["repo"], module)
        elif module not in names:
            raise SourceError(f"auto_map of {source.model} names {module}, and no such file is there: fetch it again.")
    if elsewhere:
        from auditdb.inspect import hub

        for repo, module in sorted(elsewhere.items()):
            commit, folder, files = hub.code_elsewhere(repo, module, token)
            found += [CodeFile(f"{repo}@{commit}:{file.name}", digest_file(folder / file.name)) for file in files]
    return tuple(found)


def _references(source: Source) -> Iterator[str]:
    """The class references in `auto_map`: strings, lists of them, and None for "no slow tokenizer"."""
    auto_map = source.config.get("auto_map")
    if auto_map is None:
        return
    if not isinstance(auto_map, dict):
        raise SourceError(f"auto_map of {source.model} is no map of class names: fix its config.json.")
    for value in auto_map.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                yield item
            elif item is not None:
                raise SourceError(f"auto_map of {source.model} holds {item!r}, which is no class name: fix it.")
