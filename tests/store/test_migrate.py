"""Upgrades: after a backup, whole or not at all, rows kept, by one process of many."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from auditdb.errors import StoreError
from auditdb.store import connect, migrate
from auditdb.store.read import reading
from auditdb.store.verify import verify
from auditdb.store.write import record
from tests.small import look

ROOT = Path(__file__).parents[2]
REVISIONS = sorted(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))

NEXT = """
from alembic import op
revision = "9001"
down_revision = "{before}"
def upgrade():
    op.execute("ALTER TABLE models ADD COLUMN colour TEXT NOT NULL DEFAULT 'none'")
    op.execute("UPDATE models SET colour = 'blue'")
    {last}
"""


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations to which a test adds one."""
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (connect, migrate):
        monkeypatch.setattr(module, "migrations_folder", lambda: folder)
    return folder


def test_revisions_are_numbered_and_head_is_the_last() -> None:
    assert [f"{number:04d}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS
    assert connect.head_revision() == REVISIONS[-1]


def test_an_upgrade_keeps_rows_and_the_backup_is_the_store_before(db: Path, scripts: Path) -> None:
    record(db, look())
    (scripts / "versions" / "9001_colour.py").write_text(NEXT.format(before=REVISIONS[-1], last="pass"))
    backup = migrate.ensure(db)
    assert backup is not None and backup.parent == db.parent
    connection = sqlite3.connect(db)
    assert connection.execute("SELECT name, colour FROM models").fetchall() == [("org/toy", "blue")]
    connection.close()
    before = sqlite3.connect(backup)
    assert before.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[-1],)]
    assert before.execute("SELECT n_params FROM run_summary").fetchall() == [(61,)]
    before.close()
    with reading(db) as reader:
        assert verify(reader) == []
    assert migrate.ensure(db) is None


def test_a_migration_that_fails_leaves_the_file_as_it_was(db: Path, scripts: Path) -> None:
    record(db, look())
    before = db.read_bytes()
    (scripts / "versions" / "9001_colour.py").write_text(
        NEXT.format(before=REVISIONS[-1], last="op.execute('INSERT INTO no_such_table VALUES (1)')")
    )
    with pytest.raises(StoreError, match="no such table"):
        migrate.ensure(db)
    assert db.read_bytes() == before
    with pytest.raises(StoreError, match="auditdb db upgrade"):
        connect.open_for_reading(db)


def test_a_first_run_by_several_processes_makes_one_store(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    code = (
        "import sys; from pathlib import Path; from auditdb.store.migrate import ensure; "
        "from auditdb.store.write import record; from tests.small import look; "
        "path = Path(sys.argv[1]); ensure(path); record(path, look())"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(6)
    ]
    assert [(process.communicate()[1], process.returncode) for process in started] == [(b"", 0)] * 6
    with reading(path) as reader:
        assert reader.execute("SELECT count(*) FROM runs").fetchone()[0] == 6
        assert verify(reader) == []
    assert sorted(file.name for file in tmp_path.iterdir() if "backup" in file.name) == []
