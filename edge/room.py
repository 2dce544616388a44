"""How a full outbox makes room: thin waveforms, then drop the oldest; and what is too old goes too.

Thinning halves evenly: each pass walks from the oldest row on and takes the waveforms out of every other
message of a machine; its scalars stay, under the same key, and say that they are thinned. The longer the
host is away, the thinner the old waveforms get. Only when a pass hardly frees anything are whole messages
dropped, oldest first, and named in gap records.
"""

from __future__ import annotations

from edge import wire
from edge.outbox_rows import Loss, RowKind, Rows
from ingest.contract.channels import THINNED_REASON

_THIN_ROWS = 128
_DROP_ROWS = 512
_WAVEFORMS = (
    "SELECT n, machine, time_ns, body FROM message WHERE n >= ? AND n < ? AND kind = 1 ORDER BY n LIMIT ?"
)
FULL, AGED = "outbox_full", "outbox_aged"


class Room:
    """Bookkeeping of the passes; the rows are the outbox's."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.reset()

    def reset(self) -> None:
        """Start with the oldest row again: the outbox has been empty."""
        self._from_n, self._freed = 0, 0
        self._skip: dict[str, bool] = {}

    def make(self, max_bytes: int, keep_from: int) -> None:
        """Bring the rows before `keep_from` down until a tenth of max_bytes is free, if they can give that.

        What has just come stays whatever happens, so the limit may be passed by one batch.
        """
        goal = max_bytes * 9 // 10
        while self._rows.tally.n_bytes > goal:
            if self._thin(goal, keep_from):
                freed = self._freed
                self._from_n, self._freed = 0, 0
                if freed < max_bytes // 100:
                    break
        while self._rows.tally.n_bytes > goal and self._drop("kind != 2 AND n < ?", keep_from, FULL, goal):
            pass

    def drop_aged(self, max_age_ns: int) -> None:
        """Drop what is older than max_age_ns of running time."""
        before_ns = self._rows.tally.ran_ns - max_age_ns
        oldest = self._rows.run("SELECT ran_ns FROM message WHERE kind != 2 ORDER BY n LIMIT 1").fetchone()
        if oldest is not None and oldest[0] < before_ns:
            while self._drop("kind != 2 AND ran_ns < ?", before_ns, AGED, 0):
                pass

    def _thin(self, goal: int, keep_from: int) -> bool:
        """Thin some rows; True at the end of a pass."""
        rows = self._rows
        found = rows.run(_WAVEFORMS, (self._from_n, keep_from, _THIN_ROWS)).fetchall()
        for n, machine, time_ns, body in found:
            if rows.tally.n_bytes <= goal:
                return False
            self._from_n = n + 1
            skip = self._skip.get(machine, True)
            self._skip[machine] = not skip
            if skip:
                continue
            before = rows.tally.n_bytes
            scalars = wire.without_waveforms(body)
            if scalars is None:
                rows.replace_by_gap(n, machine, time_ns, len(body), THINNED_REASON)
            else:
                rows.rewrite(n, RowKind.SCALARS, scalars, len(body))
                rows.count(thinned=1)
            self._freed += before - rows.tally.n_bytes
        return len(found) < _THIN_ROWS

    def _drop(self, where: str, bound: int, reason: str, goal: int) -> bool:
        rows = self._rows
        found = rows.run(
            f"SELECT n, machine, time_ns, length(body) FROM message WHERE {where} ORDER BY n LIMIT ?",  # noqa: S608
            (bound, _DROP_ROWS),
        ).fetchall()
        losses: dict[str, Loss] = {}
        next_n = rows.next_n
        for n, machine, time_ns, size in found:
            if rows.tally.n_bytes <= goal:
                break
            if n in rows.handed:
                rows.replace_by_gap(n, machine, time_ns, size, reason)
                continue
            rows.delete(n, n)
            rows.count(in_outbox=-1)
            loss = Loss(machine, time_ns, time_ns, 1, reason)
            losses[machine] = losses[machine].joined(loss) if machine in losses else loss
        for loss in losses.values():
            rows.add_gap(loss)
        # Merged messages leave a hole among the keys; one that only grows with its gap record is not counted.
        rows.holes += rows.next_n > next_n
        return bool(found)
