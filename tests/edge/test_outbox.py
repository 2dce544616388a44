"""Laws of the outbox: whatever happens, every message made is stored by the host, still here, or in a gap."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge import wire
from edge.outbox import Outbox, OutboxLimits, counts
from edge.outbox_file import OutboxCorrupt, OutboxUnavailable, connect_sqlite
from edge.outbox_rows import Counts, Loss, Stored
from edge.rescue import open_or_recover
from ingest.contract import channels as ch
from ingest.contract.payload import Committed, read_message, read_payload
from ingest.contract.rejected import Rejected
from ingest.contract.values import Gap, Message, Scalar, Waveform

HOUR_NS = 3_600_000_000_000
SMALL = OutboxLimits(max_bytes=65_536, max_age_h=1.0, min_free_bytes=0)
ROOMY = OutboxLimits(max_bytes=1 << 30, min_free_bytes=0)


def message(i: int, machine: str = "m-1", samples: int = 0, scalars: int = 1) -> Message:
    waveforms = (Waveform("x", bytes(2 * samples), "int16", 25_600.0, 0.001, i),) if samples else ()
    return Message(
        "gw-1", machine, i, waveforms, tuple(Scalar(f"Temperature/{k}", i / 7, i) for k in range(scalars))
    )


def told(outbox: Outbox, row: Stored) -> Message | Gap:
    """A row as the host reads it."""
    payload = read_payload(row.body)
    assert not isinstance(payload, Rejected)
    found = read_message(payload, "gw-1", row.machine, outbox.channels.birth(row.machine))
    assert isinstance(found, Message | Gap), found
    return found


class Host:
    """Keeps each key once, as a message or as the gap that took its place."""

    def __init__(self) -> None:
        self.stored: dict[tuple[int, int], Message | Gap] = {}

    def take(self, found: Message | Gap) -> None:
        assert found.key is not None
        self.stored.setdefault((found.key.boot_id, found.key.seq64), found)

    def word(self, boot_id: int) -> Committed:
        runs: list[tuple[int, int]] = []
        for seq in sorted(seq for boot, seq in self.stored if boot == boot_id):
            if runs and runs[-1][1] == seq - 1:
                runs[-1] = (runs[-1][0], seq)
            else:
                runs.append((seq, seq))
        through = runs.pop(0)[1] if runs and runs[0][0] == 0 else -1
        return Committed(boot_id, through, tuple(runs[:64]))

    @property
    def n_covered(self) -> int:
        return sum(one.n_messages if isinstance(one, Gap) else 1 for one in self.stored.values())


class OutboxLaw(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "outbox.db"
        self.mono_ns = 1
        self.host = Host()
        self.n_made = 0
        self.next_id = 1
        self.outbox = Outbox(self.path, "gw-1", SMALL, self.mono_ns)

    @rule(
        machines=st.lists(st.sampled_from(["m-1", "m-2", "m-3"]), min_size=1, max_size=12),
        samples=st.sampled_from([0, 256, 4096, 16_000]),
        scalars=st.integers(0, 2),
        sent=st.integers(0, 12),
        arrives=st.booleans(),
    )
    def store(self, machines: list[str], samples: int, scalars: int, sent: int, arrives: bool) -> None:
        batch = [message(self.next_id + i, machine, samples, scalars) for i, machine in enumerate(machines)]
        self.next_id += len(batch)
        done = self.outbox.commit(self.mono_ns, batch, hand=sent)
        if samples or scalars:
            self.n_made += len(batch)
            assert all(isinstance(one, Stored) for one in done.stored)
        else:
            assert all(isinstance(one, Rejected) for one in done.stored)
        rows = [one for one in done.stored if isinstance(one, Stored)]
        if arrives:
            for row in rows[:sent]:
                self.host.take(told(self.outbox, row))

    @rule(limit=st.integers(1, 20), arrives=st.booleans())
    def send(self, limit: int, arrives: bool) -> None:
        for row in self.outbox.read(self.outbox.first_n, self.outbox.next_n, limit):
            if arrives:
                self.host.take(told(self.outbox, row))

    @rule()
    def commit(self) -> None:
        boots = {boot for boot, _ in self.host.stored}
        self.outbox.commit(self.mono_ns, committed=[self.host.word(boot) for boot in sorted(boots)])

    @rule(n=st.integers(1, 5))
    def lose(self, n: int) -> None:
        self.outbox.commit(
            self.mono_ns, losses=[Loss("m-1", self.next_id, self.next_id, n, "outbox_unavailable")]
        )
        self.n_made += n

    @rule()
    def crash(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(self.path, "gw-1", SMALL, self.mono_ns)

    @rule(hours=st.floats(0.1, 2.0))
    def wait(self, hours: float) -> None:
        self.mono_ns += int(hours * HOUR_NS)
        self.outbox.commit(self.mono_ns, committed=[Committed(1, -1)])

    @invariant()
    def nothing_is_unaccounted_for(self) -> None:
        tally = self.outbox.counts()
        assert tally.holds
        assert tally.made == self.n_made
        # One batch may stand above the limit, nothing else: 12 messages of 32 kB.
        assert tally.n_bytes <= SMALL.max_bytes + 12 * 33_000

    @invariant()
    def memory_mirrors_the_file(self) -> None:
        seen = counts(self.path)
        mine = self.outbox.counts()
        assert (seen.made, seen.in_outbox, seen.n_bytes) == (mine.made, mine.in_outbox, mine.n_bytes)

    def teardown(self) -> None:
        # The network is good again: the host gets every message, or its gap, once.
        for row in self.outbox.read(self.outbox.first_n, self.outbox.next_n, 100_000):
            self.host.take(told(self.outbox, row))
        while True:
            rows = self.outbox.read(self.outbox.first_n, self.outbox.next_n, 100_000)
            for row in rows:
                self.host.take(told(self.outbox, row))
            if not rows:
                break
            self.commit()
        assert self.host.n_covered == self.n_made
        self.outbox.close()
        self.folder.cleanup()


TestOutboxLaw = OutboxLaw.TestCase
TestOutboxLaw.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    one = Outbox(tmp_path / "outbox.db", "gw-1", ROOMY, 1)
    yield one
    one.close()


def test_every_start_is_a_new_boot_and_the_old_ones_are_still_delivered(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    keys = []
    for i in range(3):
        one = Outbox(path, "gw-1", ROOMY, 1)
        one.commit(1, [message(i + 1), message(i + 1)])
        one.close()
    last = Outbox(path, "gw-1", ROOMY, 1)
    for row in last.read(0, last.next_n, 100):
        found = told(last, row)
        assert found.key is not None
        keys.append((found.key.boot_id, found.key.seq64))
    assert [seq for _, seq in keys] == [0, 1, 0, 1, 0, 1]
    assert len({boot for boot, _ in keys}) == 3
    assert last.boot_id not in {boot for boot, _ in keys}
    last.commit(1, committed=[Committed(keys[2][0], 1)])
    assert [row.n for row in last.read(0, last.next_n, 100)] == [1, 2, 5, 6]
    last.close()


def test_a_host_that_names_absurd_numbers_deletes_only_what_exists(outbox: Outbox) -> None:
    outbox.commit(1, [message(1), message(2), message(3)])
    outbox.commit(1, committed=[Committed(outbox.boot_id ^ 1, 2**63 - 1)])
    assert outbox.counts().in_outbox == 3
    outbox.commit(1, committed=[Committed(outbox.boot_id, 0, ((5, 2), (2, 2**64 - 1), (7, 7)))])
    assert [row.n for row in outbox.read(0, outbox.next_n, 9)] == [2]


def test_a_full_outbox_thins_waveforms_evenly_and_keeps_every_scalar(tmp_path: Path) -> None:
    limits = OutboxLimits(max_bytes=1_000_000, min_free_bytes=0)
    one = Outbox(tmp_path / "outbox.db", "gw-1", limits, 1)
    for i in range(200):
        one.commit(1, [message(i + 1, "m-1", 4096), message(i + 1, "m-2", 4096)])
    tally = one.counts()
    assert tally.holds
    assert tally.gap_declared == 0
    assert tally.in_outbox == 400
    assert tally.thinned > 200
    rows = [told(one, row) for row in one.read(0, one.next_n, 1000)]
    assert all(isinstance(row, Message) and row.scalars for row in rows)
    whole = [row.time_ns for row in rows if isinstance(row, Message) and row.waveforms]
    # The old half is not bare: waveforms are thinned, not cut off.
    assert any(time_ns < 100 for time_ns in whole)
    assert {200} <= set(whole)
    one.close()


def test_a_thinned_message_says_so(tmp_path: Path) -> None:
    one = Outbox(tmp_path / "outbox.db", "gw-1", OutboxLimits(max_bytes=65_536, min_free_bytes=0), 1)
    for i in range(12):
        one.commit(1, [message(i + 1, "m-1", 4096)])
    rows = one.read(0, one.next_n, 100)
    said = 0
    for row in rows:
        payload = read_payload(row.body)
        assert not isinstance(payload, Rejected)
        said += sum(metric.name == ch.THINNED and metric.long_value == 1 for metric in payload.metrics)
        found = read_message(payload, "gw-1", "m-1", one.channels.birth("m-1"))
        assert isinstance(found, Message)
        assert found.thinned is not bool(found.waveforms), "the host hears it"
    assert said == one.counts().thinned > 0
    one.close()


def test_what_the_host_may_have_is_replaced_under_its_own_key_never_merged(tmp_path: Path) -> None:
    one = Outbox(tmp_path / "outbox.db", "gw-1", OutboxLimits(max_bytes=65_536, min_free_bytes=0), 1)
    one.commit(1, [message(i + 1, "m-1", scalars=40) for i in range(10)], hand=4)
    for i in range(10, 200):
        one.commit(1, [message(i + 1, "m-1", scalars=40)])
    gaps = [told(one, row) for row in one.read(0, one.next_n, 1000)]
    own = [gap for gap in gaps if isinstance(gap, Gap) and gap.n_messages == 1]
    merged = [gap for gap in gaps if isinstance(gap, Gap) and gap.n_messages > 1]
    assert sorted(gap.key.seq64 for gap in own if gap.key) == [0, 1, 2, 3]
    assert len(merged) == 1
    assert merged[0].from_ns == 5
    assert one.counts().holds
    one.close()


def test_keys_with_many_holes_get_a_new_boot_so_that_the_hosts_word_stays_short(tmp_path: Path) -> None:
    one = Outbox(tmp_path / "outbox.db", "gw-1", OutboxLimits(max_bytes=65_536, min_free_bytes=0), 1)
    host, n_made = Host(), 0
    for _ in range(40):  # forty times full, and between them everything arrives
        for _ in range(4):
            one.commit(1, [message(n_made + i + 1, "m-1", scalars=40) for i in range(30)])
            n_made += 30
        for row in one.read(0, one.next_n, 1000):
            host.take(told(one, row))
        for boot in {boot for boot, _ in host.stored}:
            one.commit(1, committed=[host.word(boot)])
        assert one.counts().in_outbox == 0
    assert host.n_covered == n_made
    assert len({boot for boot, _ in host.stored}) > 1
    one.close()


def test_age_is_running_time_so_that_a_clock_set_right_drops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    one = Outbox(path, "gw-1", SMALL, 0)
    one.commit(0, [message(1)])  # sensor time 1970: the gateway has no clock yet
    one.commit(1, [message(1_795_000_000_000_000_000)])  # a time server answered
    assert one.counts().in_outbox == 2
    one.commit(2 * HOUR_NS, [message(2)])
    assert one.counts().gap_declared == 2
    one.close()


def test_a_full_disk_changes_nothing_and_is_over_when_there_is_room(tmp_path: Path) -> None:
    one = Outbox(tmp_path / "outbox.db", "gw-1", ROOMY, 1)
    one.commit(1, [message(1)])
    pages = one._connection.execute("PRAGMA page_count").fetchone()[0]
    one._connection.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone()
    before = one.counts()
    with pytest.raises(OutboxUnavailable, match="full"):
        one.commit(1, [message(i, "m-9", 8192) for i in range(2, 9)])
    assert one.counts() == before
    one._connection.execute("PRAGMA max_page_count = 1000000").fetchone()
    one.commit(1, [message(i, "m-9", 8192) for i in range(2, 9)])
    assert one.counts().in_outbox == 8
    assert one.counts().holds
    one.close()


def test_the_reserve_of_the_disk_is_kept(tmp_path: Path) -> None:
    one = Outbox(tmp_path / "outbox.db", "gw-1", OutboxLimits(min_free_bytes=1 << 60), 1)
    with pytest.raises(OutboxUnavailable, match="reserve"):
        one.commit(1, [message(1)])
    one.commit(1, committed=[Committed(one.boot_id, 5)])  # deleting always works
    one.close()


def damage(path: Path, where: str) -> None:
    raw = bytearray(path.read_bytes())
    spans = {"header": (0, 4096), "middle": (len(raw) // 3, len(raw) * 2 // 3), "all": (0, len(raw))}
    first, last = spans[where]
    raw[first:last] = b"\xa5" * (last - first)
    path.write_bytes(bytes(raw))


def _use(outbox: Outbox) -> None:
    for row in outbox.read(0, outbox.next_n, 100):
        if wire.as_historical(row.body) is None:
            outbox.replace_damaged(row)
    outbox.commit(2, committed=[Committed(boot, 1 << 60) for _, boot in outbox._rows.boots])


@pytest.mark.parametrize("where", ["header", "middle", "all"])
def test_a_corrupt_file_is_set_aside_and_what_it_held_is_rescued_or_declared(
    tmp_path: Path, where: str
) -> None:
    path = tmp_path / "outbox.db"
    one = Outbox(path, "gw-1", ROOMY, 1)
    for i in range(60):
        one.commit(1, [message(i + 1, "m-1", 2048)])
    known = one.counts()
    one.close()
    damage(path, where)
    opened, recovery = open_or_recover(path, "gw-1", ROOMY, 1, 99, last_known=known)
    if recovery is None:
        # Only rows were hit: it is found out when they are read or deleted.
        with pytest.raises(OutboxCorrupt):
            _use(opened)
        return
    assert recovery.aside.exists()
    tally = opened.counts()
    assert tally.holds
    assert recovery.rescued + recovery.lost == 60
    rows = [told(opened, row) for row in opened.read(0, opened.next_n, 100)]
    assert sum(isinstance(row, Message) for row in rows) == recovery.rescued
    assert sum(row.n_messages for row in rows if isinstance(row, Gap)) == recovery.lost
    opened.commit(2, [message(100)])
    opened.close()


def test_a_damaged_body_becomes_a_gap_under_its_own_key(tmp_path: Path) -> None:
    one = Outbox(tmp_path / "outbox.db", "gw-1", ROOMY, 1)
    one.commit(1, [message(1), message(2)])
    one._connection.execute("UPDATE message SET body = x'ffff' WHERE n = 1")
    bad, good = one.read(0, 9, 9)
    assert wire.as_historical(bad.body) is None
    assert wire.as_historical(good.body) is not None
    gap = told(one, one.replace_damaged(bad))
    assert isinstance(gap, Gap)
    assert gap.key is not None
    assert (gap.key.seq64, gap.n_messages, gap.reason) == (0, 1, "outbox_damaged")
    assert one.counts().holds
    one.close()


def test_a_file_of_another_schema_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 77")
    other.execute("CREATE TABLE x (y)")
    other.commit()
    other.close()
    opened, recovery = open_or_recover(path, "gw-1", ROOMY, 1, 99, last_known=Counts())
    assert recovery is not None
    assert recovery.lost == 1
    opened.close()


def test_bdseq_goes_on_over_restarts_and_wraps_after_255(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    seen = []
    for _ in range(3):
        one = Outbox(path, "gw-1", ROOMY, 1)
        seen += [one.next_bdseq() for _ in range(100)]
        one.close()
    assert seen == [i % 256 for i in range(300)]


def test_reading_beside_the_writer_never_blocks_it(tmp_path: Path) -> None:
    one = Outbox(tmp_path / "outbox.db", "gw-1", ROOMY, 1)
    reader = connect_sqlite(tmp_path / "outbox.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM message").fetchall()
    for i in range(5):
        one.commit(1, [message(i + 1)])
    assert one.counts().in_outbox == 5
    reader.close()
    one.close()
