"""The file that names an InfluxDB: read, or refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.journal.journal import Journal
from mitra.analytics import follower_of
from mitra.exits import PersonError
from mitra.influx_file import InfluxTable, read_influx


def test_no_file_copies_nowhere() -> None:
    assert read_influx(None) == {}


def test_a_file_becomes_the_streams_table(tmp_path: Path) -> None:
    path = tmp_path / "influx.toml"
    path.write_text("url = 'http://127.0.0.1:8086'\nbucket = 'plant'\n", "utf-8")
    assert read_influx(path) == {"influx": {"url": "http://127.0.0.1:8086", "bucket": "plant"}}


def test_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "influx.toml"
    path.write_text("url = 'http://127.0.0.1:8086'\nbuket = 'plant'\n", "utf-8")
    with pytest.raises(PersonError, match="buket"):
        read_influx(path)


def test_an_address_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    with pytest.raises(PersonError, match="http://host:8086"):
        follower_of(journal, InfluxTable(url="nowhere", bucket="plant"))
    journal.close()
