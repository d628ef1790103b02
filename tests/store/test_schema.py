"""The migrations and the declarations say the same; views keep the columns that the README promises."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from auditdb.store.connect import APPLICATION_ID, head_revision
from auditdb.store.schema import Table

VIEWS = {
    "run_summary": "run_id model revision toolchain mode status model_class rung started_at duration_ms n_modules "
    "n_params n_trainable n_buffers n_active_params n_active_params_no_embedding n_groups n_routers n_experts n_shared "
    "is_latest",
    "run_modules": "run_id model revision toolchain position name class parent depth n_params n_trainable n_buffers "
    "is_router is_expert moe_group",
    "run_parameters": "run_id model revision toolchain module name kind shape dtype numel trainable persistent tied_to",
    "run_routers": "run_id model revision toolchain name class moe_group n_experts top_k source",
    "run_experts": "run_id model revision toolchain name class parent moe_group expert kind n_params source",
    "run_moe_groups": "run_id model revision toolchain name n_routers n_experts n_shared top_k n_params",
    "run_integrity": "run_id model revision toolchain name status expected seen reason",
    "run_hooks": "run_id model revision toolchain kind module shape mean std detail",
}


def _plain(ddl: str) -> str:
    """DDL without the white space that says nothing."""
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(ddl.split()))


def test_migrations_make_what_is_declared_text_for_text(db: Path) -> None:
    declared = {}
    for table in Table.metadata.sorted_tables:
        declared[table.name] = _plain(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        for index in table.indexes:
            assert index.name is not None
            declared[index.name] = _plain(str(CreateIndex(index).compile(dialect=sqlite.dialect())))
    with sqlite3.connect(db) as connection:
        made = {
            name: _plain(sql)
            for name, sql in connection.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL"
            )
            if name != "alembic_version"
        }
    connection.close()
    assert made == declared


def test_every_table_is_strict_and_views_keep_their_columns(db: Path) -> None:
    connection = sqlite3.connect(db)
    loose = [
        name
        for _, name, kind, _, _, strict in connection.execute("PRAGMA table_list")
        if kind == "table" and not strict and not name.startswith("sqlite_") and name != "alembic_version"
    ]
    columns = {view: " ".join(row[1] for row in connection.execute(f"PRAGMA table_info({view})")) for view in VIEWS}
    identity = connection.execute("PRAGMA application_id").fetchone()[0]
    journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
    revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    connection.close()
    assert loose == []
    assert columns == VIEWS
    assert (identity, journal, revision) == (APPLICATION_ID, "wal", head_revision())
