"""What is wrong with a table of a configuration, in the words of the file and not of the program."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

_PLACE = re.compile(r" - at `\$\.?([^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_EXPECTED = re.compile(r"Expected `([^`]+)`(.*?)(?:, got `([^`]+)`)?")
_NO_CHOICE = re.compile(r"Invalid enum value (.+)")
_INDEX = re.compile(r"\[(\d+|\.\.\.)\]")
_NAMES = {
    "str": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "date": "a day as 2026-01-31",
    "null": "nothing",
}


def explained(error: msgspec.ValidationError, kind: type[msgspec.Struct]) -> str:
    """Why a file is no such kind, with the keys or the values that would do at that place."""
    return explain(str(error), known_at(str(error), kind))


def known_at(text: str, kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """The keys, or the values, that a kind knows at the place that a message of msgspec speaks of."""
    found = _PLACE.search(text)
    at: Any = inspect.type_info(kind)
    for key in _INDEX.sub("", found[1]).split(".") if found else ():
        at = _below(at, key) if key else at
    at = _bare(at)
    if isinstance(at, inspect.StructType):
        return tuple(one.encode_name for one in at.fields)
    choices = at.values if isinstance(at, inspect.LiteralType) else ()
    if isinstance(at, inspect.EnumType):
        choices = tuple(one.value for one in at.cls)
    return tuple(map(repr, choices))


def _below(at: Any, key: str) -> Any:
    """The type of a key of a table; None where it is not known."""
    at = _bare(at)
    fields = at.fields if isinstance(at, inspect.StructType) else ()
    return next((one.type for one in fields if one.encode_name == key), None)


def _bare(at: Any) -> Any:
    """A type without what stands around it: limits, or nothing instead of it, or several of it."""
    while True:
        if isinstance(at, inspect.Metadata):
            at = at.type
        elif isinstance(at, inspect.ListType | inspect.VarTupleType):
            at = at.item_type
        elif isinstance(at, inspect.UnionType) and len(at.types) == 2 and at.includes_none:
            at = next(one for one in at.types if not isinstance(one, inspect.NoneType))
        else:
            return at


def explain(text: str, known: Collection[str] = (), place: str = "") -> str:
    """A message of msgspec as a sentence about the file.

    known: the keys of the table, or the values, that are allowed at that place; place: where the table stands
    in the file, if not at the top.

    >>> explain("Expected `str`, got `int` - at `$.gateway`")
    'gateway must be text in quotes, got a whole number'
    >>> explain("Object contains unknown field `gatway`", ("plant", "gateway"))
    "there is no key 'gatway'; did you mean 'gateway'?"
    >>> explain("Object missing required field `plant` - at `$.site[1]`")
    "site number 2: the key 'plant' is missing"
    """
    found = _PLACE.search(text)
    if found:
        below = _INDEX.sub(_number, found[1].replace("[...]", "")).replace(".", ", ").strip()
        place = f"{place}, {below}" if place else below
    what = _PLACE.sub("", text)
    if unknown := _UNKNOWN.fullmatch(what):
        what = f"there is no key {unknown[1]!r}"
        near = difflib.get_close_matches(unknown[1], known, 1)
        if near:
            what += f"; did you mean {near[0]!r}?"
        elif known:
            what += f"; known are {', '.join(known)}"
    elif missing := _MISSING.fullmatch(what):
        what = f"the key {missing[1]!r} is missing"
    elif choice := _NO_CHOICE.fullmatch(what):
        others = f"; it may be {' or '.join(known)}" if known else ""
        return f"{place or 'it'} cannot be {choice[1]}{others}"
    elif expected := _EXPECTED.fullmatch(what):
        got = f", got {named(expected[3])}" if expected[3] else ""
        return f"{place or 'it'} must be {named(expected[1])}{expected[2]}{got}"
    return f"{place}: {what}" if place else what


def _number(index: re.Match[str]) -> str:
    return f" number {int(index[1]) + 1}"


def named(types: str) -> str:
    """Types as people call them.

    >>> named("int | null")
    'a whole number or nothing'
    """
    return " or ".join(_NAMES.get(one, one) for one in types.split(" | "))


def unreadable(path: Path | str, error: Exception) -> str:
    """Why a configuration file could not be read, and what to do.

    >>> unreadable(Path("edge.toml"), FileNotFoundError(2, "No such file or directory"))
    'edge.toml cannot be read (No such file or directory); name a file that this user may read'
    """
    if isinstance(error, UnicodeDecodeError):
        return f"{path} is not UTF-8 text; save it as UTF-8"
    if isinstance(error, OSError):
        return f"{path} cannot be read ({error.strerror}); name a file that this user may read"
    return f"{path} is not valid TOML: {error}; correct that line"


def of_system(error: Exception) -> str:
    """What the system refused, without its numbers.

    >>> of_system(PermissionError(13, "Permission denied", "state"))
    'state (Permission denied)'
    """
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    why = error.strerror.partition(" (while")[0]
    return f"{error.filename} ({why})" if error.filename else why
