"""One router a screen; each turns the journal into a page in the reader's language."""

from __future__ import annotations

from dashboards.pages import alarms, doors, machine, overview

PAGES = (doors.router, overview.router, machine.router, alarms.router)
