"""What a store file is: its schema, its size, its rows. Reads only."""

from __future__ import annotations

from pathlib import Path

from auditdb.store.connect import head_revision, revision
from auditdb.store.read import reading


def store_status(path: Path) -> dict[str, str | int]:
    """What `auditdb db status` prints: the store's revision and the program's, its size and its rows per table."""
    with reading(path, behind_is_fine=True) as connection:
        found = revision(connection)
        head = head_revision()
        state = "newer than this program" if found > head else "behind" if found < head else "up to date"
        facts: dict[str, str | int] = {
            "path": str(path),
            "schema": found,
            "program": head,
            "state": state,
            "bytes": path.stat().st_size,
        }
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
        )
        for (name,) in names.fetchall():
            facts[f"rows in {name}"] = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        return facts
