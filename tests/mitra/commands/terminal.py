"""Commands run in this process, with stdout and stderr apart and a PersonError as `main` would show it."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from mitra.__main__ import COMMANDS
from mitra.exits import EXIT_CODES, PersonError


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one JSON value on stdout."""
        return json.loads(self.out)


def mitra(*arguments: str | Path, stdin: str | None = None) -> Said:
    """Run `mitra ARGUMENTS`."""
    name, *rest = map(str, arguments)
    app: typer.Typer = importlib.import_module(COMMANDS[name].module).app
    found = CliRunner().invoke(app, rest, input=stdin)
    error = found.exception
    if isinstance(error, PersonError):
        return Said(EXIT_CODES[error.kind], found.stdout, found.stderr + str(error))
    if error is not None and not isinstance(error, SystemExit):
        raise error
    return Said(found.exit_code, found.stdout, found.stderr)
