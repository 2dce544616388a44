"""What a command does when nothing is said must be allowed by its own limits."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, get_type_hints

import pytest
from typer.models import OptionInfo

from mitra.__main__ import COMMANDS


def limited(module: str) -> list[tuple[str, Any, OptionInfo]]:
    """Every option with a default and a limit: its name, the default, the option."""
    found = []
    for command in importlib.import_module(module).app.registered_commands:
        hints = get_type_hints(command.callback, include_extras=True)
        for name, parameter in inspect.signature(command.callback).parameters.items():
            notes = [one for one in getattr(hints[name], "__metadata__", ()) if isinstance(one, OptionInfo)]
            if notes and parameter.default not in (None, inspect.Parameter.empty):
                found.append((f"{command.callback.__name__} --{name}", parameter.default, notes[0]))
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_default_is_within_its_own_limits(name: str) -> None:
    for option, default, limits in limited(COMMANDS[name].module):
        assert limits.min is None or default >= limits.min, option
        assert limits.max is None or default <= limits.max, option


def test_a_demo_without_a_time_has_limits_that_are_looked_at() -> None:
    assert {
        option for option, _default, limits in limited("mitra.commands.demo") if limits.max is not None
    } >= {
        "demo --machines",
        "demo --screens_port",
    }
