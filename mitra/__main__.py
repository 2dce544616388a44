"""`mitra`: every command, each loaded only when it is used, so that a gateway stays light."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from mitra.exits import EXIT_CODES, PersonError
from mitra.layout import NO_SPACE

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
    "actuator": Entry("mitra.commands.actuator", "The part of a gateway that alone may stop machines.", RUN),
    "control": Entry("mitra.commands.control", "The isolated approval service.", RUN),
    "page": Entry("mitra.commands.page", "The page on which people sign, served apart.", RUN),
    "replay": Entry("mitra.commands.replay", "Send a recording through outbox, broker and stream.", RUN),
    "status": Entry("mitra.commands.status", "What runs, what waits, what is missing.", RUN),
    "plant": Entry("mitra.commands.plant", "Check a plant file, or write a first one.", PLANT),
    "bearing": Entry("mitra.commands.bearing", "Fault orders of a bearing, by name or geometry.", PLANT),
    "history": Entry("mitra.commands.history", "Export, import, verify, compact the history.", PLANT),
    "alarms": Entry("mitra.commands.alarms", "What the alarms ask of people, by EEMUA 191.", PLANT),
    "warm-up": Entry("mitra.commands.warm_up", "Compile the kernels once (setup does it).", PLANT),
    "user": Entry("mitra.commands.user", "Accounts of the screens.", PEOPLE),
    "roster": Entry("mitra.commands.roster", "Who may approve a stop: keys, roster, rotation.", PEOPLE),
    "technician": Entry("mitra.commands.technician", "Decide about stops at the terminal.", PEOPLE),
    "audit": Entry("mitra.commands.audit", "Export and verify the log of decisions.", PEOPLE),
    "labels": Entry("mitra.commands.labels", "Verdicts and work orders that may train a model.", SCIENCE),
    "features": Entry("mitra.commands.features", "Every feature, its unit and what moves it.", SCIENCE),
    "score": Entry("mitra.commands.score", "Judge any table of numbers, row by row.", SCIENCE),
    "diagnose": Entry("mitra.commands.diagnose", "Name the fault in a recording.", SCIENCE),
    "backtest": Entry("mitra.commands.backtest", "A recording through the production models.", SCIENCE),
    "rul": Entry("mitra.commands.rul", "Remaining life from runs to failure.", SCIENCE),
    "train": Entry("mitra.commands.train", "Train a batch model from the plant's history.", SCIENCE),
    "model": Entry("mitra.commands.model", "List, compare, promote, roll back models.", SCIENCE),
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
        loaded = typer.main.get_command(_module(entry.module, str(name)).app)
        loaded.name = name
        _leave_files_to_commands(loaded)
        return name, loaded, rest


def _leave_files_to_commands(command: Any) -> None:
    """No check before a command: its own sentence says more, and a file that cannot be read is a 3."""
    for one in command.params:
        told = getattr(getattr(one, "type_descriptor", None), "parameter_info", None)
        if told is not None:
            told.readable = False
    for below in getattr(command, "commands", {}).values():
        _leave_files_to_commands(below)


def _module(path: str, command: str) -> Any:
    """The module of a command. Raises PersonError when a package that it stands on is not installed."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "mitra":
            raise
        raise PersonError(
            "missing",
            f"`mitra {command}` needs the package {error.name}, which is not installed here, so nothing "
            "was done. Install all of Mitra with `pip install 'ayo-mitra[all]'`.",
        ) from error


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
    missing (broker, port, program, package), 5 the disk is full or read-only, 6 the check failed.
    """


def main() -> Any:
    """Entry point: a `PersonError`, and output that nobody takes, become one sentence and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")  # to stderr
    try:
        try:
            return app()
        finally:
            sys.stdout.flush()
    except PersonError as error:
        _say(str(error))
        sys.exit(EXIT_CODES[error.kind])
    except BrokenPipeError:  # `mitra ... | head -1` has seen enough
        _drop_output()
        sys.exit(0)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        _drop_output()
        _say(
            "The disk is full, so what this command printed is cut short; what the plant has stored is not "
            "touched. Free some space and run it again."
        )
        sys.exit(EXIT_CODES["disk"])


def _say(sentence: str) -> None:
    err.print(f"mitra: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)


def _drop_output() -> None:
    """What is still buffered goes nowhere, so that the interpreter does not trip over it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
