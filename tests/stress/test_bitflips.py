"""Stress: single bits flipped in cells of a copy of a store; `verify` must name each. `make stress`."""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
from pathlib import Path

import pytest

from auditdb.store.read import reading
from auditdb.store.verify import verify
from auditdb.store.write import record
from tests.small import look
from tests.store.test_verify import full_look

pytestmark = pytest.mark.stress
FLIPS = 1000


def flipped(value: object, rng: random.Random) -> object:
    """The value with one bit of its bytes flipped; a text may stop being UTF-8, which SQLite keeps."""
    if isinstance(value, int):
        return value ^ (1 << rng.randrange(0, 62))
    if isinstance(value, float):
        bits = struct.unpack("<q", struct.pack("<d", value))[0] ^ (1 << rng.randrange(0, 52))
        return struct.unpack("<d", struct.pack("<q", bits))[0]
    assert isinstance(value, str) and value
    data = bytearray(value.encode())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(0, 8)
    return bytes(data)


@pytest.mark.timeout(1800)
def test_every_flip_is_named(db: Path, tmp_path: Path) -> None:
    record(db, full_look())
    record(db, look())
    rng = random.Random(11)
    connection = sqlite3.connect(db)
    cells = []
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        if table == "alembic_version":
            continue
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
        for row in connection.execute(f"SELECT * FROM {table}").fetchall():
            named = dict(zip(columns, row, strict=True))
            cells += [
                (table, column, {k: named[k] for k in keys}) for column in columns if named[column] not in (None, "")
            ]
    connection.close()
    missed = []
    copy = tmp_path / "copy.db"
    for _ in range(FLIPS):
        table, column, key = rng.choice(cells)
        shutil.copy(db, copy)
        connection = sqlite3.connect(copy)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        where = " AND ".join(f'"{name}" = ?' for name in key)
        value = connection.execute(f'SELECT "{column}" FROM {table} WHERE {where}', [*key.values()]).fetchone()[0]
        new = flipped(value, rng)
        target = "CAST(? AS TEXT)" if isinstance(new, bytes) else "?"
        connection.execute(f'UPDATE OR REPLACE {table} SET "{column}" = {target} WHERE {where}', [new, *key.values()])
        connection.commit()
        connection.close()
        with reading(copy) as reader:
            if not verify(reader):
                missed.append((table, column, key, value, new))
    assert missed == []
