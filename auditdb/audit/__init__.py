"""The one use case: a model's source → tree → routers and experts → checks → a Look. No SQL, nothing printed."""

from __future__ import annotations

from auditdb.audit.request import Audited, Recall, Recorded, Request, Tell


def audit(request: Request, tell: Tell, recall: Recall, recorded: Recorded) -> Audited:
    """Look at one model.

    Raises AuditError with a sentence for everything that a user, a network or a disk can cause.
    """
    from auditdb.audit.gather import gather

    found = gather(request, tell, recorded)
    if request.fast:
        from auditdb.audit.fast import look_fast

        return look_fast(request, found, tell, recall)
    from auditdb.audit.full import look_full

    return look_full(request, found, tell)


__all__ = ["Audited", "Request", "audit"]
