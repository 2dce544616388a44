"""`mitra`: every command, each loaded only when it is used, so that a gateway stays light."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Any

import structlog
import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from mitra.exits import EXIT_CODES, PersonError

err = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: where it lives and what `mitra --help` says of it."""

    module: str
    help: str
    panel: str


RUN, PLANT, PEOPLE, SCIENCE = "Run", "The plant", "People and approvals", "Data science"

COMMANDS: dict[str, Entry] = {
    "demo": Entry("mitra.commands.demo", "A whole plant on this machine, with a fault that develops.", RUN),
    "serve": Entry("mitra.commands.serve", "Receive, judge and show: broker, stream, screens.", RUN),
    "edge": Entry("mitra.commands.edge", "The agent of one gateway: sensors, outbox, MQTT.", RUN),
    "control": Entry("mitra.commands.control", "The isolated approval service.", RUN),
    "replay": Entry("mitra.commands.replay", "Send a recording through outbox, broker and stream.", RUN),
    "status": Entry("mitra.commands.status", "What runs, what waits, what is missing.", RUN),
    "plant": Entry("mitra.commands.plant", "Check a plant file, or write a first one.", PLANT),
    "warm-up": Entry("mitra.commands.warm_up", "Compile the kernels once (setup does it).", PLANT),
}


class Lazy(TyperGroup):
    """A group that lists its table and imports a command only to run it.

    Typer carries a private copy of click, so the signatures here stay untyped where they name its classes.
    """

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        return TyperCommand(cmd_name, help=entry.help, rich_help_panel=entry.panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        entry = COMMANDS.get(name or "")
        if entry is None:
            return name, command, rest
        loaded = typer.main.get_command(importlib.import_module(entry.module).app)
        loaded.name = name
        return name, loaded, rest


app = typer.Typer(
    name="mitra",
    cls=Lazy,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=False)
def _top() -> None:
    """Predictive maintenance for heavy plants: raw signals in, a technician's decision out.

    Begin with **mitra demo**. Data goes to stdout, progress to stderr; `--json` gives one JSON object.

    Exit codes: 0 done, 1 broken (a bug: please report), 2 wrong use, 3 bad file or setting, 4 a part is
    missing (broker, port, program), 5 the disk is full or read-only, 6 the check failed.
    """


def main() -> Any:
    """Entry point: a `PersonError` becomes one sentence and its exit code."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for data
    try:
        return app()
    except PersonError as error:
        err.print(f"mitra: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(EXIT_CODES[error.kind])
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
