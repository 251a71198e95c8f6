"""What becomes of the entries of the audit log, as metrics."""

from typing import Final, NamedTuple

from penstock.telemetry.family import Family, Samples

AUDIT_FAMILIES: Final = (
    Family("penstock_audit_entries_total", "counter", (), "Entries of the audit log that are on the disk."),
    Family("penstock_audit_lost_total", "counter", (), "Entries lost because the disk took none for too long."),
    Family("penstock_audit_waiting", "gauge", (), "Entries that wait for the disk."),
)


class AuditView(NamedTuple):
    """What is counted of the audit log."""

    written: int = 0
    lost: int = 0
    waiting: int = 0
    problem: str = ""
    """Why nothing can be written now, "" if it can."""


NO_AUDIT: Final = AuditView()
"""What is read where there is no audit log."""


def audit_samples(view: AuditView) -> dict[str, Samples]:
    """Return the samples of each family."""
    return {
        "penstock_audit_entries_total": [([], view.written)],
        "penstock_audit_lost_total": [([], view.lost)],
        "penstock_audit_waiting": [([], view.waiting)],
    }
