"""`mitra warm-up`: compile the numeric kernels into their cache, so that no live data waits for it."""

from __future__ import annotations

import time

import typer
from rich.console import Console

from models.stream import warm_up

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def run() -> None:
    """Compile the numeric kernels once and cache them; later starts load them in a moment."""
    started_s = time.perf_counter()
    warm_up()
    Console(stderr=True).print(f"kernels ready in {time.perf_counter() - started_s:.1f} s")
