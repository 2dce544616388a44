"""One form for one model: a `skops` archive without the addresses and times of the process that wrote it.

`skops` names objects and files by their place in memory and stamps files with the time of writing, so the
same model gives other bytes each time. Numbered in order of appearance and stamped alike, two trainings on
the same data and seed give the same file, and whoever trains again can check its SHA-256.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

SCHEMA = "schema.json"
STAMP = (1980, 1, 1, 0, 0, 0)


def canonical(archive: bytes) -> bytes:
    """The same archive with numbers for addresses. Raises KeyError or ValueError for other archives."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        schema = json.loads(source.read(SCHEMA))
        numbers: dict[int, int] = {}
        names: dict[str, str] = {}
        renumber(schema, numbers, names)
        files = {new: source.read(old) for old, new in names.items()}
    files[SCHEMA] = json.dumps(schema, separators=(",", ":")).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(files):
            target.writestr(zipfile.ZipInfo(name, STAMP), files[name])
    return out.getvalue()


def renumber(node: Any, numbers: dict[int, int], names: dict[str, str]) -> None:
    """Give every object and file of a schema its number in order of appearance, in place.

    >>> node = {"__id__": 140, "file": "140.npy", "content": [{"__id__": 99}, {"__id__": 140}]}
    >>> renumber(node, {}, {})
    >>> node
    {'__id__': 0, 'file': '0.npy', 'content': [{'__id__': 1}, {'__id__': 0}]}
    """
    if isinstance(node, list):
        for one in node:
            renumber(one, numbers, names)
    elif isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
        if "__id__" in node and isinstance(node.get("file"), str):
            old = node["file"]
            node["file"] = names.setdefault(old, f"{len(names)}.{old.rpartition('.')[2]}")
        for key, one in node.items():
            if key not in {"__id__", "file"}:
                renumber(one, numbers, names)
