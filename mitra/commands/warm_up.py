"""`mitra warm-up`: compile the numeric kernels into their cache, so that no live data waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import typer

from ingest.quick import Quick
from mitra.commands.speech import err
from models.life.trend import fit
from models.online.cusum import Cusum
from models.score import score_table
from models.stream import warm_up

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
BEAT_S = 15.0


@app.command()
def run() -> None:
    """Compile the numeric kernels once and cache them; later starts load them in a moment.

    `make setup` does it. The first time takes a minute or two, again after an update of Mitra.

    Example: `mitra warm-up`
    """
    started_s = time.perf_counter()
    tell("making the numeric kernels ready: compiled once, which takes a minute or two")
    with beats(started_s):
        compile_all()
    tell(f"kernels ready in {time.perf_counter() - started_s:.1f} s")


def compile_all() -> None:
    """The stream's kernels, also those it needs late, the reader of messages, and those of `mitra score`."""
    warm_up()
    fit(np.arange(20.0), np.arange(20.0))
    Cusum(1).update(np.zeros(1, np.int64), np.zeros(1))
    Quick()
    score_table(np.zeros((2, 1)))


def tell(line: str) -> None:
    """One line to a terminal or a log, at once."""
    err.print(line, highlight=False, soft_wrap=True)


@contextmanager
def beats(started_s: float) -> Iterator[None]:
    """Say now and then that it goes on: nobody shall take a long silence for a hang."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(BEAT_S):
            tell(f"still compiling, {time.perf_counter() - started_s:.0f} s so far")

    thread = threading.Thread(target=go_on, name="beats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
