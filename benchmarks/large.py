"""(c) A structure of 60,000 modules: written, reported, compared, verified."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.measure import AUDITDB, Case, Sample, fill, interleaved
from benchmarks.table import Row, timed

TITLE = "(c) 59,862 modules"
NOTE = """A synthetic MoE of 58 layers with 256 experts each: 59,862 modules, 29,989 parameters, as many expected
tensors, 14,848 experts. Writing is the one call that records a look, in a process that has imported what it needs and
has made the records (its memory is theirs as well); the others are whole processes. `diff` compares it with a look of
which 1 % of the modules differ; `verify` reads a store that has the one look."""


def measure(folder: Path, rounds: int, quick: bool) -> list[Row]:
    fill("large", folder, str(rounds))
    seconds = json.loads((folder / "writing.txt").read_text())
    writing = [Sample(each, peak, 0) for each, peak in seconds]
    cases = {
        "report": Case([AUDITDB, "report", "1", "-o", folder / "large-report", "--db", folder / "one.db"]),
        "diff": Case([AUDITDB, "diff", "1", "2", "--db", folder / "two.db"], good=(1,)),
        "verify": Case([AUDITDB, "verify", "--db", folder / "one.db"]),
    }
    found = interleaved(cases, rounds)
    return [
        timed("writing", writing, seconds_at_most=1),
        timed("`report`", found["report"], seconds_at_most=2),
        timed("`diff`", found["diff"], seconds_at_most=1),
        timed("`verify`", found["verify"], seconds_at_most=5),
    ]
