"""The file that says where an InfluxDB beside the journal is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from ingest.contract.explain import explained, unreadable
from mitra.exits import PersonError


class InfluxTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where every stored feature row is copied to (`docs/influxdb.md`)."""

    url: str
    bucket: str
    org: str = ""
    token: str = ""


def read_influx(path: Path | None) -> dict[str, Any]:
    """The `[influx]` table of the stream's configuration; empty without a file. Raises PersonError."""
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        msgspec.convert(table, InfluxTable)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PersonError("setting", f"The file for InfluxDB {unreadable(path, error)}.") from error
    except msgspec.ValidationError as error:
        raise PersonError(
            "setting", f"{path} names no InfluxDB: {explained(error, InfluxTable)} (docs/influxdb.md)."
        ) from error
    return {"influx": table}
