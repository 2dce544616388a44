"""Attack: a name that climbs out of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from control.page.bundle import load_bundle
from control.page.server import PageSettings, PageSite, make_page
from ingest.contract.approval.strict import b64, canonical
from ingest.contract.approval.topics import Leaf
from ingest.contract.approval.trust import is_roster_file, read_bundle
from ingest.contract.rejected import Rejected
from tests.approval_rig import WholePlant

CLIMBS = [
    "../secret.json",
    "..%2fsecret.json",
    "%2e%2e/secret.json",
    "....//secret.json",
    "/etc/passwd",
    "a/../../secret",
]


@pytest.mark.parametrize("name", CLIMBS)
def test_path_traversal_on_the_page_reaches_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "panel").mkdir()
    (tmp_path / "secret.json").write_text("SECRET")
    settings = PageSettings(
        "127.0.0.1",
        1,
        "http://localhost:8443",
        "localhost",
        (PageSite("plant-1", "One"),),
        (),
        demo_panel_dir=str(tmp_path / "panel"),
    )
    client = TestClient(make_page(settings, load_bundle()))
    for path in (f"/{name}", f"/demo/panel/{name}", f"/demo/panel/{name.removesuffix('.json')}"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "SECRET" not in answer.text


@pytest.mark.parametrize(
    "name", [*CLIMBS, "../roster.json", "roster.json/", "0.root.json", "1.root.json\n", "edge.key"]
)
def test_path_traversal_in_a_roster_bundle_writes_no_file(plant: WholePlant, name: str) -> None:
    assert not is_roster_file(name)
    data = canonical({name: b64(b"x")})
    assert isinstance(read_bundle(data), Rejected)
    before = sorted(path for path in plant.folder.rglob("*") if path.suffix != ".sqlite-wal")
    plant.actuator.on_message(Leaf.ROSTER, data)
    assert sorted(path for path in plant.folder.rglob("*") if path.suffix != ".sqlite-wal") == before


@pytest.mark.parametrize("name", CLIMBS)
def test_path_traversal_in_a_machine_or_proposal_id_reaches_nothing(plant: WholePlant, name: str) -> None:
    budi = plant.technician("budi")
    assert budi._client.get(f"/api/v1/proposals/{name}").status_code in {401, 404}
    with pytest.raises(ValueError, match="machine"):
        plant.request(name)
