"""What every test shares: a store in a temporary folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store of today's schema, made once: Alembic takes longer than most tests."""
    from auditdb.store.migrate import ensure

    path = tmp_path_factory.mktemp("store") / "audit.db"
    ensure(path)
    return path


@pytest.fixture
def db(tmp_path: Path, empty_store: Path) -> Path:
    """A fresh, empty store."""
    return Path(shutil.copy(empty_store, tmp_path / "audit.db"))
