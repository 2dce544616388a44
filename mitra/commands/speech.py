"""How commands speak: data on stdout as a table for people or JSON for programs, progress on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mitra.exits import PersonError

err = Console(stderr=True)
FIRST_YEAR, LAST_YEAR = 1971, 2200
"""Of times in ns: safely within 64 bits and never negative, in every time zone."""
PIPED_WIDTH = 240
"""A table in a pipe is for grep: its cells are not folded at the width of a terminal that is not there."""

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]
DataFolder = Annotated[Path, typer.Option("--data", help="The data folder of the plant (`mitra serve`).")]


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing in a log; yields what hears of (done, total)."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def say_json(value: Any) -> None:
    """One line of JSON: dataclasses as objects, NaN as null."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def say(line: str = "") -> None:
    """One line of data."""
    sys.stdout.write(line + "\n")


def say_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for a person; plain columns when stdout is no terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(table, markup=False, highlight=False)


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn a file that cannot be read into a sentence. Raises PersonError."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise PersonError(
            "setting", f"{path} is not UTF-8 text: nothing was read of {what}. Save it as UTF-8."
        ) from error
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise PersonError(
            "setting", f"{error.filename or path} cannot be read ({why}). Check the path of {what}."
        ) from error


def readable(path: Path, what: str) -> None:
    """See that a file can be opened before anything is computed. Raises PersonError."""
    with reading(path, what):
        path.open("rb").close()


def target(path: Path) -> None:
    """See that a result will have a folder before anything is computed. Raises PersonError."""
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise PersonError(
            "setting",
            f"{path} cannot be written: its folder does not exist, or it is one. Name another file.",
        )


def moment(time_ns: int) -> str:
    """A time for a person, UTC; nothing for 0.

    >>> moment(1_700_000_000_000_000_000)
    '2023-11-14 22:13:20'
    """
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S") if time_ns else ""


def nanoseconds(text: str, option: str) -> int:
    """ISO 8601 to ns, UTC when it names no offset. Raises PersonError.

    >>> nanoseconds("1971-01-01", "--from") // 10**9 // 86400
    365
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise PersonError(
            "setting", f"{option} is no time: {text!r}. Write 2026-01-31 or 2026-01-31T14:00+07:00."
        ) from error
    if not FIRST_YEAR <= when.year <= LAST_YEAR:
        raise PersonError(
            "setting",
            f"{option} lies outside of {FIRST_YEAR} to {LAST_YEAR}: {text!r}. Nothing is stored there.",
        )
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()) * 10**9
