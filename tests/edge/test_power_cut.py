"""A power cut: what SQLite did not sync is gone. The disk is that of `benchmarks.power_cut`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.outbox import Outbox, OutboxLimits
from edge.outbox_rows import Counts

ROOT = Path(__file__).parents[2]
VICTIM = """
import sys, time
from pathlib import Path
from benchmarks.power_cut import Connection, ForgetfulDisk
from edge.outbox import Outbox, OutboxLimits
from ingest.contract.values import Message, Scalar, Waveform

disk = ForgetfulDisk(int(sys.argv[2]))
outbox = Outbox(Path(sys.argv[1]), "gw-1", OutboxLimits(min_free_bytes=0), 1, Connection)
if sys.argv[3] == "careless":
    outbox._connection.execute("PRAGMA synchronous = OFF").fetchall()
for i in range(1, 100000):
    blocks = (Waveform("x", bytes(8192), "int16", 25600.0, 0.001, i),)
    batch = [Message("gw-1", f"m-{k}", i, blocks, (Scalar("Speed", float(i), i),)) for k in range(3)]
    outbox.commit(i, batch)
    print(outbox.counts().made, flush=True)
"""


def killed_after(path: Path, commits: int, seed: int, how: str) -> int:
    """Let the victim say that it stored so many batches, cut the power, and return what it promised."""
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(path), str(seed), how], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert victim.stdout is not None
    promised = 0
    for _ in range(commits):
        promised = int(victim.stdout.readline())
    victim.kill()
    victim.wait()
    return promised


def found(path: Path) -> Counts:
    outbox = Outbox(path, "gw-1", OutboxLimits(min_free_bytes=0), 1)
    counts = outbox.counts()
    rows = outbox.read(0, outbox.next_n, 100_000)
    assert len(rows) == counts.in_outbox
    outbox.close()
    return counts


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_promised_before_a_power_cut_is_there_after_it(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "outbox.db"
    for commits in (7, 40):  # the second life cuts a checkpoint short
        before = found(path).made if path.exists() else 0
        promised = killed_after(path, commits, seed, "careful")
        assert promised >= before + 3 * commits
        after = found(path)
        assert after.made >= promised
        assert after.holds


def test_the_same_disk_does_lose_what_is_not_synced(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    found(path)
    promised = killed_after(path, 40, 1, "careless")
    outbox = Outbox(path, "gw-1", OutboxLimits(min_free_bytes=0), 1)
    assert outbox.counts().made < promised
    outbox.close()
