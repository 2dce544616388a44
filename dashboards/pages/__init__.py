"""One router a screen; each turns the journal into a page in the reader's language."""

from __future__ import annotations

from dashboards.language import N_
from dashboards.menu import Screen
from dashboards.pages import alarms, audit, doors, energy, machine, models, oee, overview

PAGES = (
    Screen(overview.router, "/", "home", N_("Overview")),
    Screen(alarms.router, "/alarms", "bell", N_("Alarms")),
    Screen(energy.router, "/energy", "bolt", N_("Energy")),
    Screen(oee.router, "/oee", "gauge", N_("OEE")),
    Screen(models.router, "/models", "brain", N_("Models")),
    Screen(audit.router, "/audit", "list", N_("Audit")),
    Screen(machine.router),
    Screen(doors.router),
)
"""The menu, the pages' titles and the tests follow these rows, in this order."""
