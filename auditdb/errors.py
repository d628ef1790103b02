"""The exception tree. One base, each class with the exit code that the command line returns for it.

AuditError                3  could not do it
├── UsageError            2  wrong usage: a contradiction among options, a malformed selector
├── SourceError           3  the model, its config or its files can't be had
│   ├── NotAModel         3  something is there, but it is no transformers model
│   └── Unreachable       3  a hub or endpoint did not answer, or refused
├── BuildError            3  no tree can be built from what was had
│   └── TooLarge          3  a limit stopped it before memory or time ran out
├── StoreError            3  the store can't be read or written
│   ├── ForeignStore      3  the file is not an auditdb store
│   ├── StoreBehind       3  the store is older than the program: `auditdb db upgrade`
│   └── StoreAhead        3  the store is newer than the program
└── SelectorError         3  a RUN selector fits nothing, or more than one thing

Every message is one sentence or two: what happened, and what to do next. No message holds a secret.
"""

from __future__ import annotations


class AuditError(Exception):
    """Base of everything that auditdb raises on purpose; `exit_code` is the process's exit status."""

    exit_code = 3


class UsageError(AuditError):
    exit_code = 2


class SourceError(AuditError):
    pass


class NotAModel(SourceError):
    pass


class Unreachable(SourceError):
    pass


class BuildError(AuditError):
    pass


class TooLarge(BuildError):
    pass


class StoreError(AuditError):
    pass


class ForeignStore(StoreError):
    pass


class StoreBehind(StoreError):
    pass


class StoreAhead(StoreError):
    pass


class SelectorError(AuditError):
    pass
