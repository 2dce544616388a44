"""One router a screen; each turns the journal into a page in the reader's language."""

from __future__ import annotations

from dashboards.pages import alarms, audit, doors, energy, machine, models, oee, overview

PAGES = (
    doors.router,
    overview.router,
    machine.router,
    alarms.router,
    energy.router,
    oee.router,
    models.router,
    audit.router,
)
