"""`mitra status`: what runs, what waits, what is missing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.contract.channels import THINNED_REASON
from mitra.commands.speech import AsJson, err, moment, say, say_json, say_table
from mitra.health import Picture, look

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
NS_PER_S = 1e9


@app.command()
def status(
    data: Annotated[Path, typer.Option(help="The data folder of `mitra serve`.")] = Path("mitra-data"),
    as_json: AsJson = False,
) -> None:
    """Tell what runs, what waits and what is missing. Exit code 6: something is wrong.

    It reads files only, so it answers also when everything hangs.

    Example: `mitra status --data plant-data`
    """
    seen = look(data, time.time_ns())
    if as_json:
        say_json(as_dict(seen))
    else:
        _tell(seen)
    if seen.problems:
        raise typer.Exit(6)


def as_dict(seen: Picture) -> dict[str, Any]:
    """The picture for a program."""
    p50_ms, p99_ms = seen.latency_ms
    return {
        "time_ns": seen.at_ns,
        "problems": seen.problems,
        "serving": seen.serving,
        "ingest": None
        if seen.ingest is None
        else {
            "state": seen.ingest.state,
            "since_ns": seen.ingest.since_ns,
            "updated_ns": seen.ingest.updated_ns,
            "detail": seen.ingest.detail,
            "counters": seen.ingest.counters,
            "stored_p50_ms": p50_ms,
            "stored_p99_ms": p99_ms,
        },
        "gateways": seen.edges,
        "nodes": seen.nodes,
        "clocks": seen.clocks,
        "counters": seen.counters,
        "open_alarms": [
            {
                "alarm_id": one.alarm_id,
                "machine": one.machine,
                "opened_ns": one.opened_ns,
                "state": one.last.state,
                "priority": one.last.priority,
                "cause": one.last.cause,
            }
            for one in seen.open_alarms
        ],
        "gaps_last_day": seen.gaps,
        "disk_free_bytes": seen.disk.free_bytes,
    }


def _tell(seen: Picture) -> None:
    if seen.serving is not None:
        say(f"broker {seen.serving.broker}")
        rows = [
            (name, "runs" if alive else "DOWN", seen.serving.restarts.get(name, 0))
            for name, alive in seen.serving.alive.items()
        ]
        say_table(("process", "state", "restarts"), rows)
    if seen.ingest is not None:
        p50_ms, p99_ms = seen.latency_ms
        stored = seen.counters.get("stored_messages", 0)
        say(
            f"stream {seen.ingest.state.value}; {stored} messages stored ever, half of them within "
            f"{p50_ms:g} ms, 99 of 100 within {p99_ms:g} ms"
        )
    rows_of_gateways = [_gateway(name, seen) for name in sorted({*seen.edges, *seen.nodes})]
    head = ("gateway", "state", "made", "waiting", "oldest s", "machines", "clock", "offset s")
    say_table(head, rows_of_gateways)
    for alarm in seen.open_alarms:
        say(
            f"alarm {alarm.machine} {alarm.last.cause} {alarm.last.priority.value} "
            f"since {moment(alarm.opened_ns)} UTC ({alarm.last.state.value})"
        )
    thinned = sum(gap.n_messages for gap in seen.gaps if gap.reason == THINNED_REASON)
    missing = sum(gap.n_messages for gap in seen.gaps) - thinned
    say(
        f"{len(seen.open_alarms)} open alarms, {len(seen.gaps)} gaps in the last day ({missing} messages; "
        f"{thinned} more without their waveforms), "
        f"{seen.disk.free_bytes / 1e9:.1f} GB free"
    )
    for problem in seen.problems:
        err.print(f"! {problem}", markup=False, highlight=False, soft_wrap=True)


def _gateway(name: str, seen: Picture) -> tuple[object, ...]:
    edge, node, clock = seen.edges.get(name), seen.nodes.get(name), seen.clocks.get(name)
    state = edge.state if edge is not None else ""
    if node is not None:
        state = f"{state or 'elsewhere'}, {'online' if node.online else 'offline'}"
    return (
        name,
        state,
        edge.made if edge else "",
        edge.in_outbox if edge else "",
        f"{edge.oldest_s:.0f}" if edge else "",
        edge.machines if edge else len(node.machines) if node else "",
        clock.state.value if clock else "",
        f"{clock.offset_ns / NS_PER_S:.3f}" if clock else "",
    )
