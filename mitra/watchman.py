"""Ends a plant's processes when their supervisor is gone, however it went: kill -9 leaves nothing running.

The supervisor starts it as `python -m mitra.watchman` and holds the other end of its standard input; the end
of that file is the news. Every process writes its pid there itself before it becomes its program
(`announced`), so that none is missed, whenever the supervisor dies. Parent-death signals are no way: Linux
sends them when the *thread* that started a process ends. Files that the supervisor hands down, as the lock of
the data folder, stay open until the last process has ended: no second plant starts beside the remains of the
first. A folder that was made for this run alone (`python -m mitra.watchman FOLDER`) goes with them.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

GRACE_S = 15.0
_LOOK_S = 0.05
_SCRIPT = '(echo "$$" >&0) 2>/dev/null; exec "$@" </dev/null'


def announced(command: Sequence[str]) -> tuple[str, ...]:
    """The command, saying its pid on its standard input (the pipe to a watchman) before it begins.

    It keeps that pid: the shell that says it becomes the program.
    """
    return ("/bin/sh", "-c", _SCRIPT, "announced", *command)


class Held:
    """One process. A pidfd names it for ever, where the system has that; elsewhere its pid and session do."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid) if sys.platform == "linux" else -1

    @property
    def is_over(self) -> bool:
        """True once it has ended."""
        if self._fd >= 0:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            return bool(poll.poll(0))
        try:
            return os.getsid(self.pid) != self.pid
        except ProcessLookupError:
            return True

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it is still there."""
        with suppress(ProcessLookupError):
            if sys.platform == "linux":
                signal.pidfd_send_signal(self._fd, number)
            elif not self.is_over:
                os.kill(self.pid, number)

    def let_go(self) -> None:
        """Forget it."""
        if self._fd >= 0:
            os.close(self._fd)


def watch(news: int) -> list[Held]:
    """Read pids until the supervisor is gone; which of them still run then."""
    held: list[Held] = []
    rest = b""
    while data := os.read(news, 4096):
        *lines, rest = (rest + data).split(b"\n")
        for ended in [one for one in held if one.is_over]:
            ended.let_go()
            held.remove(ended)
        for line in lines:
            with suppress(ProcessLookupError):  # it has ended already
                held.append(Held(int(line)))
    return [one for one in held if not one.is_over]


def end(held: Iterable[Held], grace_s: float = GRACE_S) -> None:
    """Ask each to end; what does not in time is killed."""
    left = list(held)
    for one in left:
        one.send(signal.SIGTERM)
    until = time.monotonic() + grace_s
    while (left := [one for one in left if not one.is_over]) and time.monotonic() < until:
        time.sleep(_LOOK_S)
    for one in left:
        one.send(signal.SIGKILL)


def main() -> int:
    """Watch, then end what is left; and when something was, remove the folder that nobody else will."""
    left = watch(sys.stdin.fileno())
    if left:
        sys.stderr.write(f"orphaned pids={[one.pid for one in left]}: their supervisor is gone\n")
    end(left)
    if left:
        for folder in sys.argv[1:]:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
