"""Errors as Problem Details (RFC 9457) for programs and as a plain page for people.

A problem says what happened, what it means for the plant and what to do, with an id that finds the log line.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.language import N_

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of one kind of problem, marked for translation."""

    title: str
    means: str
    remedy: str


PROBLEMS: dict[int, Words] = {
    400: Words(
        N_("This request cannot be understood"),
        N_("Nothing was changed."),
        N_("Go back and try again from the page."),
    ),
    401: Words(
        N_("Acting needs a name"),
        N_("Nothing was changed. You may go on looking."),
        N_("Sign in, then try again."),
    ),
    403: Words(
        N_("This is not allowed"),
        N_("Nothing was changed."),
        N_("Reload the page and try again; if it stays, ask somebody with that role."),
    ),
    404: Words(
        N_("This does not exist"),
        N_("The plant runs on; the address is wrong or the entry is gone."),
        N_("Go to the overview."),
    ),
    409: Words(
        N_("This was already settled"),
        N_("Nothing was changed."),
        N_("Reload the page to see how it stands now."),
    ),
    422: Words(
        N_("Something is missing or impossible in what was sent"),
        N_("Nothing was changed."),
        N_("Correct it and send it again."),
    ),
    429: Words(
        N_("Too many attempts"),
        N_("Nothing was changed."),
        N_("Wait a minute and try again."),
    ),
    500: Words(
        N_("The screen failed"),
        N_("Machines, alarms and stored data are not touched by this."),
        N_("Try again; if it stays, tell support the number below."),
    ),
    503: Words(
        N_("The plant's journal cannot be read"),
        N_("What is on screen may be old. Telemetry waits at the edges and is not lost."),
        N_("Check that `mitra serve` runs, then try again."),
    ),
}


class Problem(Exception):  # noqa: N818  (the name of RFC 9457)
    """Something to tell the caller. status: a key of PROBLEMS; detail: a translated sentence more, or ""."""

    def __init__(self, status: int, detail: str = "") -> None:
        if status not in PROBLEMS:
            raise ValueError(f"no words for status {status}")
        super().__init__(detail or PROBLEMS[status].title)
        self.status = status
        self.detail = detail
