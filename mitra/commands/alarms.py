"""`mitra alarms`: what the alarms ask of their operator, beside the targets of EEMUA 191 and ISA-18.2."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated

import typer

from ingest.contract.rows import AlarmChange, AlarmState
from ingest.reader import Reader
from mitra.commands.speech import AsJson, DataFolder, moment, nanoseconds, say, say_json, say_table
from mitra.exits import PersonError
from mitra.stored import reader_of
from models.alarms.flood import Flood, flood

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
DAY_NS = 86_400 * 10**9
PAGE = 1_000


@app.command()
def alarms(
    data: DataFolder,
    since: Annotated[str, typer.Option("--from", help="ISO 8601, UTC without an offset.")] = "",
    until: Annotated[str, typer.Option("--to", help="The same; not included. Now, if not said.")] = "",
    as_json: AsJson = False,
) -> None:
    """Count what the alarms asked of people: rate, floods, chattering, stale ones, the most frequent.

    Without `--from`, of the thirty days before `--to`. An alarm that calls again counts again.

    Example: `mitra alarms --data mitra-data --from 2026-01-01`
    """
    to_ns = nanoseconds(until, "--to") if until else time.time_ns()
    from_ns = nanoseconds(since, "--from") if since else to_ns - 30 * DAY_NS
    if from_ns >= to_ns:
        raise PersonError("setting", "Nothing was counted: --from is not before --to.")
    with closing(reader_of(data)) as reader:
        found = flood(_changes(reader, from_ns), from_ns, to_ns)
    if as_json:
        say_json(found)
        return
    say(f"{found.n_alarms} alarms from {moment(from_ns)} to {moment(to_ns)} UTC")
    say_table(("", "here", "target"), _rows(found))


def _changes(reader: Reader, from_ns: int) -> Iterator[AlarmChange]:
    """Every step of the alarms that changed since, and of those that stand."""
    before = None
    while page := reader.alarms(open_only=False, limit=PAGE, before=before):
        before = (page[-1].opened_ns, page[-1].alarm_id)
        for one in page:
            if one.changed_ns >= from_ns or one.last.state is not AlarmState.NORMAL:
                history = reader.alarm(one.alarm_id)
                yield from history.changes if history is not None else ()


def _rows(found: Flood) -> list[tuple[str, str, str]]:
    return [
        ("alarms in ten minutes, mean", f"{found.per_10_min:.2f}", "1, at most 2"),
        ("alarms in the worst ten minutes", f"{found.most_in_10_min}", "under 10"),
        ("share of the time in a flood", f"{found.time_in_flood:.2%}", "under 1 %"),
        ("alarms that chatter", f"{found.chattering}", "none"),
        ("alarms that stand for more than a day", f"{found.stale}", "under 5"),
        ("share of the ten most frequent", f"{found.top_10_share:.0%}", "5 % at most"),
    ]
