"""What is wrong with a table of a configuration, in the words of the file and not of the program."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from pathlib import Path

_PLACE = re.compile(r" - at `\$\.?([^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_EXPECTED = re.compile(r"Expected `([^`]+)`(.*?)(?:, got `([^`]+)`)?")
_INDEX = re.compile(r"\[(\d+)\]")
_NAMES = {
    "str": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}


def explain(text: str, known: Collection[str] = (), place: str = "") -> str:
    """A message of msgspec as a sentence about the file.

    known: the keys of the table that was read; place: where it stands in the file, if not at the top.

    >>> explain("Expected `str`, got `int` - at `$.gateway`")
    'gateway must be text in quotes, got a whole number'
    >>> explain("Object contains unknown field `gatway`", ("plant", "gateway"))
    "there is no key 'gatway'; did you mean 'gateway'?"
    >>> explain("Object missing required field `plant` - at `$.site[1]`")
    "site number 2: the key 'plant' is missing"
    """
    found = _PLACE.search(text)
    if found:
        below = _INDEX.sub(lambda at: f" number {int(at[1]) + 1}", found[1]).replace(".", ", ").strip()
        place = f"{place}, {below}" if place else below
    what = _PLACE.sub("", text)
    if unknown := _UNKNOWN.fullmatch(what):
        what = f"there is no key {unknown[1]!r}"
        near = difflib.get_close_matches(unknown[1], known, 1)
        if near and not place:
            what += f"; did you mean {near[0]!r}?"
        elif known and not place:
            what += f"; known are {', '.join(known)}"
    elif missing := _MISSING.fullmatch(what):
        what = f"the key {missing[1]!r} is missing"
    elif expected := _EXPECTED.fullmatch(what):
        got = f", got {named(expected[3])}" if expected[3] else ""
        return f"{place or 'it'} must be {named(expected[1])}{expected[2]}{got}"
    return f"{place}: {what}" if place else what


def named(types: str) -> str:
    """Types as people call them.

    >>> named("int | null")
    'a whole number or nothing'
    """
    return " or ".join(_NAMES.get(one, one) for one in types.split(" | "))


def unreadable(path: Path, error: Exception) -> str:
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
