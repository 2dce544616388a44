"""`mitra demo`: a whole plant on one machine."""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from mitra.commands.numbers import chance, number
from mitra.demo import Demo, DemoRequest, prepare
from mitra.exits import PersonError
from mitra.passing import passing_folder
from mitra.supervisor import StartError
from mitra.technicians import Script

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
out, err = Console(), Console(stderr=True)

ONSET_SHARE, GROWTH_SHARE = 0.22, 0.33
ONSET_S, GROWTH_S = 60.0, 120.0
SHORTEST_S, LONGEST_S = 30.0, 31 * 24 * 3600.0
LOOK_S = 2.0


@app.command()
def demo(
    machines: Annotated[int, typer.Option(min=1, max=500, help="How many machines.")] = 20,
    seconds: Annotated[
        float, number(0, LONGEST_S, f"End by itself after so long, at least {SHORTEST_S:g}; 0 = never.")
    ] = 0.0,
    headless: Annotated[bool, typer.Option("--headless", help="Do not print the addresses.")] = False,
    script_technician: Annotated[
        bool,
        typer.Option("--script-technician", help="Two scripted people reject one stop and approve the next."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="At the end, one JSON object on stdout.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Keep everything here; default: a temporary folder.")
    ] = None,
    language: Annotated[str, typer.Option(help="id or en: what the plant speaks.")] = "id",
    seed: Annotated[int, chance()] = 1,
    screens_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the screens; 0 = a free one.")
    ] = 0,
    control_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of control; 0 = a free one.")] = 0,
    page_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page on which people sign; 0 = a free one.")
    ] = 0,
) -> None:
    """Start a whole plant: broker, gateways, stream, screens, isolated control, and a fault that grows.

    Prints its addresses; Ctrl-C stops everything. The software keys of the demo are for the demo only.

    Example: `mitra demo`, or `mitra demo --machines 5 --language en --data demo-data`
    """
    if language not in ("id", "en"):
        raise PersonError("setting", f"--language must be id or en, got {language!r}.")
    if 0 < seconds < SHORTEST_S:
        raise PersonError(
            "setting",
            f"--seconds must be 0 or at least {SHORTEST_S:g}, got {seconds:g}: no fault develops sooner.",
        )
    with ExitStack() as stack:
        folder = data or stack.enter_context(passing_folder("mitra-demo-"))
        request = DemoRequest(
            data=folder,
            n_machines=machines,
            seed=seed,
            language=language,
            onset_s=min(seconds * ONSET_SHARE or ONSET_S, ONSET_S),
            growth_s=min(seconds * GROWTH_SHARE or GROWTH_S, GROWTH_S),
            screens_port=screens_port,
            control_port=control_port,
            page_port=page_port,
            is_passing=data is None,
        )
        running = prepare(request)
        script = Script(running.house, running.runs) if script_technician else None
        try:
            _run(running, script, seconds, headless=headless)
            if as_json:
                json.dump(running.report(script), sys.stdout)
                sys.stdout.write("\n")
        except StartError as error:
            raise PersonError("missing", f"The demo did not start: {error}") from error
        finally:
            if script is not None:
                script.stop()
            running.stop()


def _run(running: Demo, script: Script | None, seconds: float, *, headless: bool) -> None:
    """Start, and wait for the end of time or a signal. Raises StartError."""
    closing = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        closing.set()
        running.supervisor.give_up()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` wants it to live on
        signal.signal(signal.SIGHUP, stop)  # the terminal was closed: nothing outlives it
    with err.status("starting") as status:
        running.start(lambda what: status.update(f"starting: {what}"))
    if script is not None:
        script.start()
    if not headless:
        _welcome(running)
    ends_s = time.monotonic() + seconds if seconds else math.inf
    while not closing.wait(max(0.0, min(LOOK_S, ends_s - time.monotonic()))) and time.monotonic() < ends_s:
        running.clerk.look()
    err.print("stopping: gateways first, so that nothing is on the way")
    running.quiet()
    if script is not None:
        script.stop()


def _welcome(running: Demo) -> None:
    urls = running.urls
    out.print(f"screens    {urls['screens']}", highlight=False)
    out.print(f"watch      {urls['machine']}", highlight=False, soft_wrap=True)
    out.print(f"approvals  {urls['approvals']}", highlight=False)
    err.print(
        "The watched machine's fault begins about a minute after the start and grows for two.\n"
        "Follow its alarm, then log in to the approvals as Sari or Budi (demo keys) and decide.",
        soft_wrap=True,
    )
    err.print("Ctrl-C stops everything.")
