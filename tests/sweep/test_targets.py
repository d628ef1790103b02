"""What a sweep is about: files of ids, folders, standard input."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditdb.errors import SourceError
from auditdb.sweep import find_models
from tests.audit import tiny


def test_lines_comments_and_doubles(tmp_path: Path) -> None:
    listed = tmp_path / "ids.txt"
    listed.write_text("org/a\n\n# a comment\n  org/b@main  # why\norg/a\n")
    assert find_models([str(listed)], []) == ["org/a", "org/b@main"]
    assert find_models(["-", "org/c"], ["org/b\n", "org/a\n"]) == ["org/b", "org/a", "org/c"]
    assert find_models(["org/a", "org/a"], []) == ["org/a"]


def test_folders(tmp_path: Path) -> None:
    one = tiny.folder(tmp_path / "models" / "one")
    two = tiny.folder(tmp_path / "models" / "org" / "two")
    tiny.folder(two / "inside")  # part of the model above it
    tiny.folder(tmp_path / "models" / ".hidden" / "three")
    assert find_models([str(tmp_path / "models")], []) == [str(one), str(two)]
    assert find_models([str(one)], []) == [str(one)]


@pytest.mark.parametrize("text", ["nothing", "./org/name", "/org/name", "a/b/c"])
def test_what_is_neither(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError):
        find_models([text], [])


def test_a_folder_without_models_and_a_file_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("empty", "bytes"):
        with pytest.raises(SourceError):
            find_models([str(tmp_path / name)], [])
