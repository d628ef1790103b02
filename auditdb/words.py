"""Names and numbers as they stand in sentences."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

LONGEST_SHOWN = 160  # characters


def shown(name: str) -> str:
    """A stranger's name, fit for one line of text: control characters escaped, the middle of a long one cut."""
    clean = _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", name)
    if len(clean) <= LONGEST_SHOWN:
        return clean
    half = LONGEST_SHOWN // 2
    return f"{clean[:half]}…{clean[-half:]}"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 rename`, `2,345 renames`; `many` is for plurals that take more than an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
