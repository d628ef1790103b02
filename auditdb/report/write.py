"""Report files onto the disk: the only place of this room that touches it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from auditdb.errors import StoreError
from auditdb.report.text import file_name


def run_folder(outdir: Path, started_at: str, model: str) -> Path:
    """`OUTDIR/<started_at>_<model>`, the classic layout; the name is cleaned, so that it can't leave OUTDIR."""
    stamp = started_at.replace(":", "").replace("-", "")
    return outdir / f"{file_name(stamp)}_{file_name(model.rstrip('/').rsplit('/', 1)[-1])}"


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write each text under its name, exactly. Raises StoreError with a sentence where the disk refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            _replace(folder / name, text)
    except OSError as error:
        raise StoreError(f"the report can't be written to {folder}: {error.strerror or error}") from error


def _replace(path: Path, text: str) -> None:
    """A file that is there already stays whole until the new one is: a disk may fill up on the way."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="surrogateescape", newline="\n")
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
