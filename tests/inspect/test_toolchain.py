"""Versions come from metadata; what is no plain release is known as such."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

import pytest

from auditdb.inspect import toolchain


def test_current_reads_like_the_design() -> None:
    chain = toolchain.current()
    assert str(chain).split()[0].startswith("py3.")
    assert f"transformers{metadata.version('transformers')}" in str(chain).split()


@pytest.mark.parametrize(
    ("version", "origin", "release"),
    [
        ("2.13.0", None, True),
        ("2.13.0+cpu", None, True),
        ("2.13.0+cu130", None, True),
        ("2.13.0+gabc1234", None, False),
        ("5.24.0.dev0", None, False),
        ("5.23.0", {"url": "https://x/y", "vcs_info": {"vcs": "git"}}, False),
        ("5.23.0", {"url": "file:///x", "dir_info": {"editable": True}}, False),
        ("5.23.0", {"url": "file:///x.whl", "archive_info": {}}, True),
        ("", None, False),
    ],
)
def test_is_release(monkeypatch: pytest.MonkeyPatch, version: str, origin: Any, release: bool) -> None:
    class Found:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return None if origin is None else json.dumps(origin)

    monkeypatch.setattr(toolchain, "installed", lambda package: version)
    monkeypatch.setattr(metadata, "distribution", lambda package: Found())
    assert toolchain.is_release("anything") is release
