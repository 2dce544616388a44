"""Names of sites, edge nodes and machines."""

from __future__ import annotations

import re
from functools import lru_cache

ID_PATTERN = r"[a-z0-9-]{1,64}"
_ID = re.compile(ID_PATTERN, re.ASCII)


def is_id(text: object) -> bool:
    """True when text may name a site, an edge node or a machine.

    >>> is_id("pump-07"), is_id("Pump 7"), is_id("a/+")
    (True, False, False)
    """
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def check_id(text: str, what: str) -> str:
    """Return text when it is an id, else raise ValueError naming what it was for.

    >>> check_id("pump-07", "machine")
    'pump-07'
    """
    try:
        return _good(text)
    except (TypeError, ValueError):
        raise ValueError(f"{what} must match {ID_PATTERN}, got {text!r}") from None


@lru_cache(maxsize=65_536)  # a plant's names come again with every message; what is refused is not remembered
def _good(text: str) -> str:
    if not is_id(text):
        raise ValueError(text)
    return text
