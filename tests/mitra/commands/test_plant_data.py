"""What a plant's data folder is asked: history, labels, training, the registry."""

from __future__ import annotations

import csv
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from ingest.contract.batch import Batch
from ingest.contract.rows import Condition, FeatureRow, Judgement, Outputs
from ingest.contract.values import Message, Scalar
from ingest.historian.export import export
from ingest.journal.entry import Intake
from ingest.journal.journal import Journal
from ingest.journal.schema import open_reader
from ingest.reader import Reader
from mitra.layout import Layout
from mitra.supervisor import free_port
from models.registry import Registry
from tests.mitra.commands.terminal import Said, mitra

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
START = datetime(2026, 1, 5, tzinfo=UTC)
START_NS = int(START.timestamp()) * 10**9
DAYS, MACHINES = 40, 12
NAMES = ("rms", "kurtosis", "temperature")
FAILS_ON, SIGNS_FROM, ENDS_ON = 25.0, 21.0, 25.5


def kind_of(k: int) -> str:
    return "pump" if k < MACHINES // 2 else "fan"


def name_of(k: int) -> str:
    return f"{kind_of(k)}-{k}"


def fails(k: int) -> bool:
    return k % 2 == 0


def values_of(k: int, day: float, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    growth = (day - SIGNS_FROM) * 2.5 if fails(k) and SIGNS_FROM < day < ENDS_ON else 0.0
    level = 1.0 + 0.15 * k
    return np.array(
        [level + rng.normal(0, 0.2) + growth, 3 + rng.normal(0, 0.3) + 1.5 * growth, 60 + rng.normal(0, 1)],
        np.float32,
    )


def judged(k: int, at: int, day: float) -> Judgement:
    sick = fails(k) and SIGNS_FROM + 1 < day < ENDS_ON
    condition = Condition.ALARM if sick else Condition.NORMAL
    return Judgement(name_of(k), at, condition, 0.9 if sick else 0.1, 0.5, 20.0 if sick else 98.0)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plant of twelve machines and forty days, as its stream would have left it. plant.toml beside it."""
    root = tmp_path_factory.mktemp("plant")
    layout = Layout(root / "data")
    layout.server.mkdir(parents=True)
    journal = Journal(layout.journal)
    rng = np.random.default_rng(0)
    for step in range(DAYS * 6):
        at, day = START_NS + step * 4 * HOUR, step / 6
        said = tuple(
            Message("gw-1", name_of(k), at, (), (Scalar("Power/Active", 10.0, at),)) for k in range(MACHINES)
        )
        rows = tuple(FeatureRow(name_of(k), at, NAMES, values_of(k, day, rng)) for k in range(MACHINES))
        states = tuple(judged(k, at, day) for k in range(MACHINES))
        journal.commit(Intake(Batch(at, said), (at,) * MACHINES), Outputs(rows, states))
    db = open_reader(layout.journal)
    export(journal, db, layout.history)
    db.close()
    journal.close()
    machines = "".join(
        f'[[machine]]\nid = "{name_of(k)}"\nname = "M {k}"\ngateway = "gw-1"\nkind = "{kind_of(k)}"\n'
        for k in range(MACHINES)
    )
    head = '[plant]\nid = "p"\nname = "P"\ntimezone = "UTC"\n[[gateway]]\nid = "gw-1"\n'
    (root / "plant.toml").write_text(head + machines)
    return root


def iso(day: float) -> str:
    return (START + timedelta(days=day)).isoformat()


@pytest.fixture(scope="module")
def orders(plant: Path) -> Path:
    """Each failure, one visit that found nothing, a planned order, and one of a foreign machine."""
    path = plant / "orders.csv"
    with path.open("w", newline="") as text:
        writer = csv.writer(text, delimiter=";")
        writer.writerow(["WO", "Aset", "Dibuka", "Ditutup", "Kerusakan", "Jenis"])
        for k in range(MACHINES):
            if fails(k):
                writer.writerow([f"o{k}", name_of(k), iso(FAILS_ON), iso(ENDS_ON), "BRG01", "corrective"])
        writer.writerow(["o90", name_of(1), iso(12), iso(12.5), "NFF", "corrective"])
        writer.writerow(["o91", name_of(3), iso(5), iso(5.1), "", "preventive"])
        writer.writerow(["o92", "crane-7", iso(5), iso(5.1), "BRG01", "corrective"])
    return path


@pytest.fixture(scope="module")
def golden(plant: Path) -> Path:
    path = plant / "golden.csv"
    with path.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(["case", "machine", "from", "to", "faulty"])
        for k in range(MACHINES):
            first = 22 if fails(k) else 2
            writer.writerow([f"g{k}", name_of(k), iso(first), iso(first + 3), "yes" if fails(k) else "no"])
    return path


@pytest.fixture(scope="module")
def labelled(plant: Path, orders: Path) -> Said:
    asked = ("--plant", plant / "plant.toml", "--data", plant / "data", "--fault", "BRG01=bearing_outer")
    return mitra("labels", "import", orders, *asked, "--column", "order=WO", "--json")


# -- labels ---------------------------------------------------------------------------------------------


def test_work_orders_become_verdicts_once(plant: Path, orders: Path, labelled: Said) -> None:
    assert labelled.code == 0, labelled.err
    assert (labelled.data["labels"], labelled.data["new"], labelled.data["planned"]) == (7, 7, 1)
    assert [one["reason"] for one in labelled.data["refused"]] == ["unknown_machine"]
    asked = ("--plant", plant / "plant.toml", "--data", plant / "data", "--fault", "BRG01=bearing_outer")
    again = mitra("labels", "import", orders, *asked, "--column", "order=WO")
    assert "0 of them new" in again.out
    listed = mitra("labels", "list", "--data", plant / "data", "--json").data["labels"]
    assert len(listed) == 7
    assert {one["fault"] for one in listed if one["verdict"] == "confirmed"} == {"bearing_outer"}
    assert [one["machine"] for one in listed if one["verdict"] == "false_alarm"] == [name_of(1)]
    assert "bearing_outer" in mitra("labels", "list", "--data", plant / "data").out


def test_a_file_that_is_no_work_orders_is_a_setting(plant: Path, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("a,b\n1,2\n")
    asked = ("--plant", plant / "plant.toml", "--data", tmp_path / "data")
    found = mitra("labels", "import", path, *asked)
    assert found.code == 3
    assert "no column for" in found.err
    assert not (tmp_path / "data").exists()
    assert mitra("labels", "import", path, *asked, "--column", "machine").code == 3


# -- history --------------------------------------------------------------------------------------------


def test_history_is_exported_verified_and_compacted(plant: Path, tmp_path: Path) -> None:
    data = plant / "data"
    out = tmp_path / "rows.parquet"
    window = ("--from", iso(1), "--to", iso(2), "--machine", name_of(0))
    assert mitra("history", "export", out, "--data", data, *window, "--json").data["rows"] == 6
    assert pq.read_table(out).column("machine").unique().to_pylist() == [name_of(0)]
    text = tmp_path / "rows.csv"
    assert mitra("history", "export", text, "--data", data).code == 0
    assert len(text.read_text().splitlines()) == MACHINES * DAYS * 6 + 1
    verified = mitra("history", "verify", "--data", data, "--json")
    assert (verified.code, verified.data["good"]) == (0, True)


def test_what_was_exported_is_imported_once_and_old_rows_become_aggregates(
    plant: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.parquet"
    assert mitra("history", "export", rows, "--data", plant / "data").code == 0
    data = tmp_path / "other"
    assert mitra("history", "import", rows, "--data", data, "--json").data["rows"] == MACHINES * DAYS * 6
    assert mitra("history", "import", rows, "--data", data).code == 0
    assert mitra("history", "verify", "--data", data, "--json").data["rows"] == MACHINES * DAYS * 6
    done = mitra("history", "compact", "--data", data, "--json")
    assert done.code == 0
    assert (done.data["aggregated"], done.data["expired"]) == (1, 1)  # rows of long ago
    assert mitra("history", "verify", "--data", data, "--json").data["by_kind"]["tens"] == MACHINES * DAYS * 6


def test_a_damaged_segment_fails_the_check(plant: Path, tmp_path: Path) -> None:
    rows, data = tmp_path / "rows.parquet", tmp_path / "other"
    assert mitra("history", "export", rows, "--data", plant / "data", "--machine", name_of(2)).code == 0
    assert mitra("history", "import", rows, "--data", data).code == 0
    segment = next(Layout(data).history.glob("rows-*.parquet"))
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    segment.write_bytes(bytes(raw))
    found = mitra("history", "verify", "--data", data)
    assert found.code == 6
    assert segment.name in found.out


def test_an_import_that_the_disk_refuses_is_the_disk(plant: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.parquet"
    assert mitra("history", "export", rows, "--data", plant / "data").code == 0
    (tmp_path / "taken").write_bytes(b"")  # a file is where the data folder would be
    found = mitra("history", "import", rows, "--data", tmp_path / "taken")
    assert found.code == 5
    assert "cannot be written" in found.err


def test_history_says_what_is_missing(plant: Path, tmp_path: Path) -> None:
    data = plant / "data"
    nowhere = mitra("history", "verify", "--data", tmp_path)
    form = mitra("history", "export", tmp_path / "rows.xlsx", "--data", data)
    when = mitra("history", "export", tmp_path / "r.csv", "--data", data, "--from", "yesterday")
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    junk = mitra("history", "import", tmp_path / "junk.parquet", "--data", tmp_path / "d")
    assert "junk.parquet was not imported" in junk.err
    assert not (tmp_path / "d").exists()  # a bad file must not leave what looks like a plant
    assert [one.code for one in (nowhere, form, when, junk)] == [3, 3, 3, 3]
    nothing = mitra("history", "export", tmp_path / "n.csv", "--data", data, "--machine", "crane-7")
    assert (nothing.code, nothing.out[:6]) == (0, "0 rows")


# -- training and the registry --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(plant: Path, labelled: Said, golden: Path) -> Path:
    """Two versions of one model in the registry. Returns the data folder."""
    assert labelled.code == 0
    data = plant / "data"
    asked = ("--data", data, "--plant", plant / "plant.toml", "--golden", golden, "--horizon-days", "4")
    for version in (1, 2):
        found = mitra("train", *asked, "--name", "bearings", "--json")
        assert found.code == 0, found.err
        assert found.data["label"] == f"bearings@{version}"
        assert found.data["quarantined"] == 0
        assert {one["name"] for one in found.data["manifest"]["metrics"]} >= {"recall", "false_alarm_days"}
    return data


REASON = ("--reason", "A test of the whole way", "--by", "Dewi")


def test_the_same_history_gives_the_same_model(trained: Path) -> None:
    registry = Registry(Layout(trained).registry)
    one, two = (registry.load("bearings", version) for version in (1, 2))
    assert one.manifest.data_sha256 == two.manifest.data_sha256
    assert one.manifest.metrics == two.manifest.metrics
    assert Layout(trained).signing_key.stat().st_mode & 0o077 == 0


def test_a_model_goes_through_gate_and_person_and_back(plant: Path, trained: Path, golden: Path) -> None:
    both = ("--data", trained, "--plant", plant / "plant.toml", "--golden", golden)
    early = mitra("model", "compare", "bearings", *both)
    assert early.code == 3
    first = mitra("model", "challenge", "bearings@1", "--data", trained, *REASON, "--json")
    assert (first.data["champion"], first.data["challenger"]) == (1, None)
    second = mitra("model", "challenge", "bearings@2", "--data", trained, *REASON, "--json")
    assert (second.data["champion"], second.data["challenger"]) == (1, 2)
    listed = mitra("model", "list", "--data", trained, "--json").data
    assert [(one["label"], one["aliases"], one["signed"]) for one in listed] == [
        ("bearings@2", ["challenger"], True),
        ("bearings@1", ["champion"], True),
    ]
    compared = mitra("model", "compare", "bearings", *both, "--json")
    assert compared.data["passed"], compared.data["findings"]
    assert compared.code == 0
    silent = mitra("model", "promote", "bearings", *both, "--reason", "why not")
    assert silent.code == 6  # too short a reason for the next shift
    promoted = mitra("model", "promote", "bearings", *both, *REASON)
    assert promoted.code == 0, promoted.err
    assert promoted.out.strip().endswith("champion bearings@2, no challenger")
    back = mitra("model", "rollback", "bearings", "--data", trained, *REASON, "--json")
    assert back.data["champion"] == 1
    assert mitra("model", "rollback", "bearings", "--data", trained, *REASON).code == 6


def test_a_gate_without_evidence_does_not_pass(plant: Path, trained: Path, golden: Path) -> None:
    few = plant / "few.csv"
    few.write_text("\n".join(golden.read_text().splitlines()[:3]) + "\n")
    asked = ("--data", trained, "--plant", plant / "plant.toml", "--golden", few)
    registry = Registry(Layout(trained).registry)
    while registry.standing("bearings").challenger is None:
        rival = 1 if registry.standing("bearings").champion in (None, 2) else 2
        assert mitra("model", "challenge", f"bearings@{rival}", "--data", trained, *REASON).code == 0
    before = registry.standing("bearings")
    found = mitra("model", "compare", "bearings", *asked)
    assert found.code == 6
    assert "enough_golden" in found.out
    assert mitra("model", "promote", "bearings", *asked, *REASON).code == 6
    assert registry.standing("bearings") == before


def test_a_changed_model_is_not_believed(trained: Path, plant: Path) -> None:
    asked = ("--data", trained, "--plant", plant / "plant.toml")
    assert mitra("train", *asked, "--name", "changed").code == 0
    assert "# changed@1" in mitra("model", "show", "changed@1", "--data", trained).out
    manifest = Layout(trained).registry / "models" / "changed" / "1" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"seed":0', b'"seed":7'))
    found = mitra("model", "show", "changed@1", "--data", trained)
    assert found.code == 6
    assert "not loaded" in found.err
    assert "NO" in mitra("model", "list", "--data", trained).out


def test_a_model_is_exported_only_where_it_is_known_and_free(trained: Path, tmp_path: Path) -> None:
    for asked, code in (
        (("bearings", "--mlflow", tmp_path / "m"), 3),
        (("bearings@1", "--mlflow", tmp_path / "no" / "m"), 3),
        (("bearings@1", "--mlflow", tmp_path), 3),
    ):
        found = mitra("model", "export", *asked, "--data", trained)
        assert (found.code, found.out) == (code, "")


@pytest.mark.full
def test_a_model_is_exported_for_mlflow(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    unknown = mitra("model", "export", "bearings@9", "--mlflow", tmp_path / "m", "--data", trained)
    assert (unknown.code, (tmp_path / "m").exists()) == (6, False)
    found = mitra("model", "export", "bearings@1", "--mlflow", tmp_path / "m", "--data", trained, "--json")
    assert found.data == {"model": "bearings@1", "out": str(tmp_path / "m")}
    assert "models.exchange.mlflow_model" in (tmp_path / "m" / "MLmodel").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--kind", "oracle"), "no kind"),
        (("train", "--from", "2030-01-01"), "too few"),
        (("train", "--golden", "nowhere.csv"), "nowhere.csv"),
        (("train", "--golden", "nowhere.json"), "nowhere.json"),
        (("train", "--influx", "http://127.0.0.1:9"), "--influx"),
        (("train", "--from", "2026-02-01", "--to", "2026-01-01"), "not before"),
        (("train", "--rows", "nowhere.parquet"), "nowhere.parquet"),
        (("train", "--rows", "a.csv", "--influx", "http://127.0.0.1:9"), "not from both"),
        (("train", "--horizon-days", "400"), "shorter horizon"),
        (("model", "show", "bearings"), "bearings@3"),
    ],
)
def test_training_says_what_does_not_fit(
    trained: Path, plant: Path, arguments: tuple[str, ...], said: str
) -> None:
    more = ("--plant", plant / "plant.toml") if arguments[0] == "train" else ()
    found = mitra(*arguments, "--data", trained, *more)
    assert found.code == 3
    assert said in found.err


def test_an_influx_that_is_away_is_a_missing_part(trained: Path, plant: Path) -> None:
    asked = ("--plant", plant / "plant.toml", "--influx", f"http://127.0.0.1:{free_port()}")
    found = mitra("train", "--data", trained, *asked, "--influx-bucket", "mitra")
    assert found.code == 4
    assert "Nothing was trained" in found.err


class Annotated(BaseHTTPRequestHandler):
    """Answers Flux with the plant's rows as annotated CSV, one table a machine."""

    rows: ClassVar[dict[str, list[str]]] = {}

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["query"]
        machine = next(name for name in Annotated.rows if f'r.machine == "{name}"' in query)
        self.send_response(200)
        self.send_header("Content-Type", "text/csv")
        self.end_headers()
        kinds = ",".join(["double"] * len(NAMES))
        false = ",".join(["false"] * len(NAMES))
        head = (
            f"#datatype,string,long,dateTime:RFC3339,string,{kinds}\r\n#group,false,false,false,true,{false}\r\n"
            f"#default,_result,,,{',' * len(NAMES)}\r\n,result,table,_time,machine,{','.join(NAMES)}\r\n"
        )
        self.wfile.write((head + "".join(Annotated.rows[machine]) + "\r\n").encode())

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def test_training_from_influx_stands_on_the_same_data_as_from_the_journal(trained: Path, plant: Path) -> None:
    reader = Reader(Layout(trained).journal, Layout(trained).history)
    for k in range(MACHINES):
        rows = reader.rows(name_of(k))
        Annotated.rows[name_of(k)] = [
            f",,0,{datetime.fromtimestamp(at / 1e9, UTC):%Y-%m-%dT%H:%M:%SZ},{name_of(k)},"
            + ",".join(repr(float(one[rows.names.index(name)])) for name in NAMES)
            + "\r\n"
            for at, one in zip(rows.time_ns, rows.values, strict=True)
        ]
    reader.close()
    server = HTTPServer(("127.0.0.1", 0), Annotated)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    asked = ("--data", trained, "--plant", plant / "plant.toml", "--kind", "pca-t2-q", "--json")
    where = ("--influx", f"http://127.0.0.1:{server.server_port}", "--influx-bucket", "mitra")
    try:
        far, near = mitra("train", *asked, *where), mitra("train", *asked)
    finally:
        server.shutdown()
        server.server_close()
    assert (far.code, near.code) == (0, 0), far.err
    assert far.data["manifest"]["data_sha256"] == near.data["manifest"]["data_sha256"]
    assert far.data["manifest"]["files"] == near.data["manifest"]["files"]


def test_golden_cases_that_cannot_be_are_named_by_row(trained: Path, plant: Path, tmp_path: Path) -> None:
    path = tmp_path / "golden.csv"
    for row, wrong in (
        (2, "g1,crane-7,2026-01-05,2026-01-06,yes"),
        (2, f"g1,{name_of(0)},2026-01-05,2026-01-06,perhaps"),
        (2, f"g1,{name_of(0)},then,2026-01-06,no"),
    ):
        path.write_text(f"case,machine,from,to,faulty\n{wrong}\n")
        found = mitra("train", "--data", trained, "--plant", plant / "plant.toml", "--golden", path)
        assert found.code == 3
        assert f"row {row}" in found.err


def test_a_folder_without_a_plant_is_a_setting(plant: Path, tmp_path: Path) -> None:
    assert mitra("train", "--data", tmp_path, "--plant", plant / "plant.toml").code == 3
    assert "--plant" in mitra("train", "--data", tmp_path, "--plant", tmp_path / "nowhere.toml").err
    assert mitra("model", "list", "--data", tmp_path).code == 3


def test_a_history_from_elsewhere_trains_when_a_second_person_vouches(
    plant: Path, orders: Path, labelled: Said, tmp_path: Path
) -> None:
    assert labelled.code == 0
    rows = tmp_path / "rows.parquet"
    assert mitra("history", "export", rows, "--data", plant / "data").code == 0
    data = tmp_path / "fresh"  # no stream ever judged here
    facts = ("--plant", plant / "plant.toml")
    asked = ("--data", data, "--fault", "BRG01=bearing_outer", "--column", "order=WO")
    assert mitra("labels", "import", orders, *facts, *asked).code == 0
    train = ("train", "--data", data, *facts, "--rows", rows, "--kind", "failure-horizon", "--json")
    doubted = mitra(*train)
    assert doubted.code == 3
    assert "7 of 7 verdicts are in quarantine" in doubted.err
    waiting = mitra("labels", "waiting", "--data", data, "--json").data
    assert {tuple(one["doubts"]) for one in waiting} == {("no_data_then",)}
    first = waiting[0]["label"]["label_id"]
    why = ("--reason", "The old system's history, read with Siti")
    for wrong, code in (
        ((first, "--by", waiting[0]["label"]["by"], *why), 6),
        ((first, "--by", "Dewi", "--reason", "sure"), 6),
        (("wo:none", "--by", "Dewi", *why), 3),
        (("--by", "Dewi", *why), 3),
    ):
        assert mitra("labels", "vouch", "--data", data, *wrong).code == code
    one = mitra("labels", "vouch", first, "--data", data, "--by", "Dewi", *why, "--json")
    assert one.data == {"vouched": [first], "by": "Dewi"}
    rest = mitra("labels", "vouch", "--doubt", "no_data_then", "--data", data, "--by", "Dewi", *why)
    assert "6 verdicts; 0 still wait" in rest.out
    trained = mitra(*train)
    assert trained.code == 0, trained.err
    assert trained.data["quarantined"] == 0
    assert {one["group"] for one in trained.data["manifest"]["metrics"]} == {"pump", "fan", ""}


def test_a_damaged_record_of_who_vouched_is_said(plant: Path, tmp_path: Path) -> None:
    path = Layout(tmp_path).vouched
    path.parent.mkdir(parents=True)
    path.write_text("{")
    found = mitra("labels", "waiting", "--data", tmp_path)
    assert found.code == 3
    assert "vouched" in found.err
