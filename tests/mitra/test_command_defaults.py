"""What a command does when nothing is said must be allowed by its own limits."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_type_hints

import pytest
import typer
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


def numeric(name: str) -> list[tuple[str, Callable[[str], Any], bool]]:
    """Every option of a command, and of its subcommands, that takes a number: name, reading, whole or not."""
    command: Any = typer.main.get_command(importlib.import_module(COMMANDS[name].module).app)
    return [
        (one.name, partial(one.process_value, typer.Context(leaf)), one.type_descriptor.annotation is int)
        for leaf in getattr(command, "commands", {name: command}).values()
        for one in leaf.params
        if getattr(one, "type_descriptor", None) and one.type_descriptor.annotation in (int, float)
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_number_out_of_reason_is_refused(name: str) -> None:
    for option, read, is_whole in numeric(name):
        for text in ("9" * 30, "-" + "9" * 30) if is_whole else ("nan", "inf", "-inf", "1e308", "-1e308"):
            with pytest.raises(typer.BadParameter) as refused:
                pytest.fail(f"{name}: {option} takes {text} as {read(text)}")
            assert "Traceback" not in refused.value.format_message()


def test_every_option_that_takes_a_number_is_found() -> None:
    assert {option for option, _, _ in numeric("bearing")} == {"rpm", "elements", "ball", "pitch", "contact"}
    assert {option for option, _, _ in numeric("rul")} == {"cap", "seed"}
