"""A written plant and screens over it; the clock stands still at the plant's last moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from benchmarks.written_plant import WrittenPlant, write_plant
from dashboards.accounts import Account, Role, hash_word
from dashboards.app import build_app
from dashboards.config import ScreensConfig
from dashboards.house import House
from dashboards.ledger import Ledger
from dashboards.live import Hub
from dashboards.sessions import Sessions
from dashboards.source import Source
from ingest.desk import Desk
from ingest.reader import Reader

NOW_NS = 1_795_489_500_000_000_000  # Selasa, 24 Nov 2026 10.05 in Jakarta
ORIGIN = "http://127.0.0.1:8080"
WORD = "a long password"


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> WrittenPlant:
    return write_plant(tmp_path_factory.mktemp("plant"), NOW_NS, minutes=30)


@pytest.fixture(scope="session")
def account() -> Account:
    return Account("budi", Role.TECHNICIAN, hash_word(WORD))


@dataclass
class Clock:
    ns: int = NOW_NS

    def __call__(self) -> int:
        return self.ns


@dataclass
class Screens:
    """A client, the house behind it, and its clock."""

    client: TestClient
    house: House
    clock: Clock

    def sign_in(self, role: str = "technician") -> None:
        answer = self.client.post("/sign-in/role", data={"role": role})
        assert answer.status_code == 200, answer.text

    def token(self) -> str:
        session = self.house.sessions.read(self.client.cookies["mitra"], self.clock())
        assert session is not None
        return self.house.sessions.token(session)


def open_screens(
    written: WrittenPlant, folder: Path, account: Account, **settings: object
) -> Iterator[Screens]:
    wanted: dict[str, object] = {"open_roles": True, "control_url": "https://control.example", **settings}
    config = ScreensConfig(
        plant=str(folder / "plant.toml"), journal=str(written.journal), desk=str(folder / "desk.db"), **wanted
    )
    clock = Clock()
    source = Source(lambda: Reader(written.journal))
    house = House(
        config=config,
        plant=written.plant,
        source=source,
        desk=Desk(folder / "desk.db"),
        hub=Hub(written.plant, config, source, clock),
        ledger=Ledger(folder / "ledger.db", written.plant, source, clock),
        sessions=Sessions(b"k" * 32),
        accounts={account.name: account},
        now_ns=clock,
    )
    with TestClient(build_app(house), base_url=ORIGIN) as client:
        yield Screens(client, house, clock)
    house.desk.close()


@pytest.fixture
def screens(written: WrittenPlant, tmp_path: Path, account: Account) -> Iterator[Screens]:
    yield from open_screens(written, tmp_path, account)


@pytest.fixture
def closed_screens(written: WrittenPlant, tmp_path: Path, account: Account) -> Iterator[Screens]:
    """Screens that demand a name, without demonstration roles."""
    yield from open_screens(written, tmp_path, account, open_roles=False, looking_needs_name=True)
