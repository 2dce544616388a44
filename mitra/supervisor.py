"""Starts the processes of a plant, watches them, restarts what fell, and stops all of them by pid.

When the supervisor itself is killed, `mitra.watchman` ends what it has started.
"""

from __future__ import annotations

import errno
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mitra.logs import bound
from mitra.watchman import GRACE_S, announced

log = logging.getLogger("mitra.supervisor")
_DRAW = random.SystemRandom()

STOP_GRACE_S = GRACE_S
WATCH_S = 0.2
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
STEADY_S = 30.0
CARE_S = 5.0
DRAWN_PORTS, MAX_DRAWS = (20_000, 32_000), 100
MAX_TRIES = 3


class StartError(RuntimeError):
    """A process did not come up; the message says which, and where its log is."""


class WrongSettingError(StartError):
    """A process refused its configuration: trying again would not help."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process.

    ready: says True once it serves; None = ready when started; wrong_setting: exit codes with which it
    refuses its configuration.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool] | None = None
    ready_s: float = 60.0
    environment: Mapping[str, str] = field(default_factory=dict)
    restart: bool = True
    wrong_setting: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    started_s: float
    restarts: int = 0
    backoff_s: float = FIRST_BACKOFF_S
    due_s: float | None = None


class Supervisor:
    """Owns child processes. Their output goes to `<logs>/<name>.log`, which is bounded.

    keep: descriptors that stay open until the last process has ended, even when this one is killed; passing:
    a folder made for this run alone, which its owner removes at the end, and the watchman if that is killed.
    """

    def __init__(self, logs: Path, keep: tuple[int, ...] = (), passing: Path | None = None) -> None:
        self._logs, self._keep, self._passing = logs, keep, passing
        self._news = -1
        self._watchman: subprocess.Popen[bytes] | None = None
        self._running: dict[str, _Running] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, program: Program) -> None:
        """Start one and wait until it is ready. Raises StartError."""
        self.begin(program)
        self.wait_ready(program)

    def begin(self, program: Program) -> None:
        """Start one; `wait_ready` may follow. Raises StartError when the system makes no process."""
        with self._lock:
            try:
                if self._watchman is None:
                    self._post_watchman()
                process = self._spawn(program)
            except OSError as error:
                raise StartError(f"{program.name} cannot be started: {error}") from error
            self._running[program.name] = _Running(program, process, time.monotonic())
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
            self._watcher.start()

    def wait_ready(self, program: Program) -> None:
        """Block until the program says that it serves. Raises StartError."""
        if program.ready is None:
            return
        deadline = time.monotonic() + program.ready_s
        while not program.ready():
            running = self._running[program.name]
            code = running.process.poll()
            if code in program.wrong_setting:
                raise WrongSettingError(f"{program.name} refuses its settings: {self._tail(program.name)}")
            if code is not None and (running.restarts >= MAX_TRIES or not program.restart):
                raise StartError(
                    f"{program.name} ended with code {code} while starting: {self._tail(program.name)}"
                )
            if time.monotonic() > deadline or self._closing.is_set():
                raise StartError(
                    f"{program.name} was not ready within {program.ready_s:g} s: {self._tail(program.name)}"
                )
            self._closing.wait(0.05)

    def pid(self, name: str) -> int:
        """Process id of a running program."""
        return self._running[name].process.pid

    def kill(self, name: str) -> int:
        """kill -9, as a power cut would; the watcher starts it again. Returns the pid that died."""
        with self._lock:
            process = self._running[name].process
            process.kill()
            process.wait()
            return process.pid

    def ended(self, name: str) -> int | None:
        """Exit code of a program that is not to be started again; None while it runs."""
        with self._lock:
            return self._running[name].process.poll()

    def alive(self) -> dict[str, bool]:
        """Which programs run at this moment."""
        with self._lock:
            return {name: running.process.poll() is None for name, running in self._running.items()}

    def restarts(self) -> dict[str, int]:
        """How often each program was started again."""
        with self._lock:
            return {name: running.restarts for name, running in self._running.items()}

    def why_down(self) -> dict[str, str]:
        """What each program that does not run at this moment said last."""
        with self._lock:
            return {name: self._tail(name) for name, is_alive in self.alive().items() if not is_alive}

    def give_up(self) -> None:
        """Start nothing any more, and wait for nobody to become ready; `stop` follows."""
        self._closing.set()

    def stop(self) -> None:
        """Stop all, the last started first; what does not end in time is killed."""
        self._closing.set()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join()
        for name in reversed(list(self._running)):
            self.stop_one(name)
        if self._watchman is not None:
            os.close(self._news)
            self._watchman.wait()
            self._watchman = None

    def stop_one(self, name: str) -> None:
        """Stop one program for good."""
        with self._lock:
            process = self._running.pop(name).process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            log.warning("killed program=%s after_s=%g", name, STOP_GRACE_S)
            process.kill()
            process.wait()

    def _post_watchman(self) -> None:
        """Start the one that ends everything when this process is gone."""
        if self._watchman is not None:
            os.close(self._news)
        news, self._news = os.pipe()
        try:
            with (self._logs / "watchman.log").open("ab") as output:
                self._watchman = subprocess.Popen(
                    (
                        sys.executable,
                        "-m",
                        "mitra.watchman",
                        *([str(self._passing)] if self._passing else []),
                    ),
                    stdin=news,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=self._keep,
                    start_new_session=True,
                )
        finally:
            os.close(news)
        for running in self._running.values():
            if running.process.poll() is None:
                os.write(self._news, b"%d\n" % running.process.pid)

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        with (self._logs / f"{program.name}.log").open("ab") as output:
            return subprocess.Popen(
                announced(program.command),
                stdin=self._news,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | dict(program.environment),
                start_new_session=True,  # Ctrl-C is for the supervisor alone, which stops them in order
            )

    def _watch(self) -> None:
        due_s = 0.0
        while not self._closing.wait(WATCH_S):
            now_s = time.monotonic()
            with self._lock:
                for running in self._running.values():
                    self._look_after(running, now_s)
            if now_s >= due_s:
                due_s = now_s + CARE_S
                self._take_care()

    def _take_care(self) -> None:
        with self._lock:
            if self._watchman is not None and self._watchman.poll() is not None:
                log.warning("ended program=watchman code=%s", self._watchman.returncode)
                try:
                    self._post_watchman()
                except OSError as error:
                    log.error("not_started_again program=watchman why=%s", error)  # noqa: TRY400
        for path in self._logs.glob("*.log"):
            try:
                bound(path)
            except OSError as error:
                log.warning("log_not_bounded file=%s why=%s", path, error)

    def _look_after(self, running: _Running, now_s: float) -> None:
        if running.process.poll() is None or not running.program.restart:
            return
        if running.due_s is None:
            self._ended(running, now_s)
        elif now_s >= running.due_s and not self._closing.is_set():
            self._start_again(running, now_s)

    def _start_again(self, running: _Running, now_s: float) -> None:
        try:
            running.process = self._spawn(running.program)
        except OSError as error:  # no memory, no process, no disk: it may be there in a while
            log.error("not_started_again program=%s why=%s", running.program.name, error)  # noqa: TRY400
            running.due_s = now_s + running.backoff_s
            running.backoff_s = min(2 * running.backoff_s, LONGEST_BACKOFF_S)
            return
        running.started_s, running.due_s = now_s, None
        running.restarts += 1

    def _ended(self, running: _Running, now_s: float) -> None:
        name, code = running.program.name, running.process.returncode
        if code in running.program.wrong_setting:
            running.backoff_s = LONGEST_BACKOFF_S  # nothing helps until a person has corrected it
            log.error("refuses its settings program=%s: %s", name, self._tail(name))
        elif now_s - running.started_s > STEADY_S:
            running.backoff_s = FIRST_BACKOFF_S
        running.due_s = now_s + running.backoff_s
        running.backoff_s = min(2 * running.backoff_s, LONGEST_BACKOFF_S)
        log.warning("ended program=%s code=%s", name, code)

    def _tail(self, name: str) -> str:
        path = self._logs / f"{name}.log"
        said = path.read_text("utf-8", "replace").strip().splitlines() if path.exists() else []
        lines = list(dict.fromkeys(said[-20:]))  # a program that ended thrice said the same thrice
        return f"{' / '.join(lines[-3:])[-600:] or 'it said nothing'} (whole log: {path})"


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now.

    It is drawn from below the ports that systems give to outgoing connections: one of those must not take it
    in the moment between choosing and listening.
    """
    drawn = (_DRAW.randrange(*DRAWN_PORTS) for _ in range(MAX_DRAWS))
    found = next((port for port in drawn if port_is_free(host, port)), None)
    if found is None:
        raise OSError(errno.EADDRINUSE, f"none of {MAX_DRAWS} ports of {host} is free")
    return found


def port_is_free(host: str, port: int) -> bool:
    """True when port can be bound."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((host, port))
            return True
    return False


def is_own_address(host: str) -> bool:
    """True when this machine can listen on host: an address or a name of its own."""
    with socket.socket() as probe, suppress(OSError):
        probe.bind((host, 0))
        return True
    return False


def listens(host: str, port: int) -> Callable[[], bool]:
    """A readiness check: something accepts connections there."""

    def check() -> bool:
        with suppress(OSError), socket.create_connection((host, port), timeout=0.5):
            return True
        return False

    return check
