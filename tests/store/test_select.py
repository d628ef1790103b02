"""RUN selectors: what each spelling means, and what is ambiguous."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditdb.errors import SelectorError
from auditdb.store.read import reading
from auditdb.store.select import select_run
from auditdb.store.write import record
from tests.small import look


@pytest.fixture
def store(db: Path) -> Path:
    """1, 3: org/toy@aaa fast; 2: org/toy@aaa full; 4: org/toy@abb fast; 5: elsewhere/toy2; 6: a folder; newest last."""
    looks = [
        look(),
        look(mode="full", rung="loaded"),
        look(),
        look(revision="ab" + "b" * 38, requested="v2"),
        look(model="elsewhere/toy2", revision="c" * 40),
        look(model="/data/x/toy", model_kind="folder", revision="local-0123456789ab", requested=""),
    ]
    for number, one in enumerate(looks):
        from dataclasses import replace

        record(db, replace(one, started_at=f"2026-01-0{number + 1}T00:00:00Z"))
    return db


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("1", 1),
        ("latest", 6),
        ("latest~0", 6),
        ("org/toy", 4),
        ("org/toy@" + "a" * 40, 3),
        ("org/toy@aa", 3),
        ("org/toy@v2", 4),
        ("org/toy~1", 3),
        ("org/toy~2", 1),
        ("org/toy@aa~1", 1),
        ("toy2", 5),
        ("/data/x/toy", 6),
        ("x/toy", 6),
        ("X/Toy", 6),
        ("TOY2", 5),
        ("/data/x/toy@local-01", 6),
    ],
)
def test_fits(store: Path, text: str, run: int) -> None:
    with reading(store) as connection:
        assert select_run(connection, text) == run


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("17", "no run fits '17'; `auditdb list` shows the runs"),
        ("toyy", "no run fits 'toyy'; did you mean toy? `auditdb list` shows the runs"),
        ("", "an empty text is no RUN; use an id like 17, `latest`, MODEL or MODEL@REVISION"),
        ("toy", "'toy' fits 2 models: /data/x/toy, org/toy; write more of the name"),
        ("org/toy@a", f"'a' fits 2 revisions of org/toy: {'a' * 40}, ab{'b' * 38}; write more of it"),
        ("org/toy@f", "no run of org/toy has a revision 'f'; recorded are aaaaaaaaaaaa, abbbbbbbbbbb"),
        (
            "org/toy~9",
            "there are fewer than 9 runs of org/toy before run 4 in mode fast; `auditdb list --model org/toy` shows them",
        ),
    ],
)
def test_fits_nothing_or_too_much(store: Path, text: str, sentence: str) -> None:
    with reading(store) as connection, pytest.raises(SelectorError) as caught:
        select_run(connection, text)
    assert str(caught.value) == sentence
