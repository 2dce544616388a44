"""The server process: MQTT -> gate -> micro-batch -> `models.stream.update` -> one transaction -> watermark.

Run by `mitra serve` and the demo as `python -m mitra.analytics --config FILE`.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import msgspec

from ingest.acquire import Acquire
from ingest.contract.actions import Action
from ingest.contract.approval.topics import request_topic
from ingest.contract.batch import Batch
from ingest.contract.explain import explained, unreadable
from ingest.contract.ids import ID_PATTERN
from ingest.contract.plant import Plant
from ingest.contract.rows import FeatureRow, Outputs, StopAdvice
from ingest.desk import Desk
from ingest.gate import Gate
from ingest.host import Host, Send
from ingest.inbox import Inbox
from ingest.influx import Follower, Influx
from ingest.journal.journal import Journal, JournalError
from ingest.keeper import Keeper
from ingest.metrics import MetricsFile
from ingest.mqtt import Broker, BrokerError, Link, broker_of
from ingest.snapshots import Snapshots
from ingest.stream import Stream, StreamPolicy
from mitra.exits import EXIT_CODES, PersonError
from mitra.influx_file import InfluxTable
from mitra.layout import make_folder, read_plant
from mitra.live_models import LiveModels
from mitra.models_file import MODELS_FILE, ModelsFile
from mitra.requests import request_of
from mitra.workers import MAX_WORKERS, Workers, automatic
from models.settings import DETECTORS
from models.stream import Settings, StreamState, load, new_state, parts, replay, warm_up

log = logging.getLogger("mitra.analytics")

FIRST_OPEN_S = 10.0
ASK_S = 2.0
"""How long a stop request waits for the broker's word that it has it; the next try is a second later."""
SWITCH_S = 0.0003
"""How long a thread that comes back from a kernel or the disk waits for the interpreter at most; Python's own
5 ms, thousands of times a second, leave cores idle.
"""


class AnalyticsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file.

    broker: `mqtt://user:password@host:1883` or `mqtts://`; journal, desk: databases; history, registry:
    folders; ready: a file made once telemetry can be received; profile: how fast the models learn (`backtest`
    takes the first `baseline_rows` rows of each machine as its baseline); workers: threads that make
    features, 0 for half of the cores; detectors: of the panel; live_every_s: how often the registry's models
    score the newest rows.
    """

    plant: str
    broker: str
    journal: str
    desk: str
    history: str
    registry: str
    ready: str = ""
    host_id: Annotated[str, msgspec.Meta(pattern=f"^{ID_PATTERN}$")] = "mitra"
    mqtt_version: Literal["3.1.1", "5"] = "3.1.1"
    ca: str = ""
    cert: str = ""
    key: str = ""
    profile: Literal["plant", "demo", "backtest"] = "plant"
    baseline_rows: Annotated[int, msgspec.Meta(ge=8, le=100_000)] = 100
    influx: InfluxTable | None = None
    workers: Annotated[int, msgspec.Meta(ge=0, le=MAX_WORKERS)] = 0
    max_blocks: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 64
    max_wait_ms: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 5.0
    detectors: tuple[str, ...] = DETECTORS[:2]
    live_every_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 60.0

    @property
    def settings(self) -> Settings:
        """What the models are told. Raises PersonError."""
        profile = Settings.demo() if self.profile == "demo" else Settings()
        if self.profile == "backtest":
            profile = Settings.backtest(self.baseline_rows)
        try:
            return replace(profile, detectors=self.detectors)
        except ValueError as error:
            raise PersonError("setting", f"The models cannot run so: {error}.") from error


def load_config(path: Path) -> AnalyticsConfig:
    """Read the file. Raises PersonError."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), AnalyticsConfig)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PersonError("setting", f"{unreadable(path, error)}.") from error
    except msgspec.ValidationError as error:
        raise PersonError("setting", f"{path}: {explained(error, AnalyticsConfig)}.") from error


def snapshots_of(folder: Path, plant: Plant, settings: Settings) -> Snapshots[StreamState]:
    """The models' state on disk, and how what was stored after it is folded."""

    def fold(
        state: StreamState, rows: Sequence[FeatureRow], actions: Sequence[Action], now_ns: int
    ) -> StreamState:
        return replay(state, rows, actions, now_ns)[0]

    return Snapshots(folder, parts, lambda raw: load(raw, plant, settings), fold)


def follower_of(journal: Journal, table: InfluxTable | None) -> Follower | None:
    """What copies to InfluxDB when it is wanted; it never holds the journal up. Raises PersonError."""
    if table is None:
        return None
    try:
        influx = Influx(table.url, table.token, table.org, table.bucket)
    except ValueError as error:
        raise PersonError("setting", f"[influx]: {error}") from error
    return Follower(journal, influx)


def broker_from(config: AnalyticsConfig) -> Broker:
    """The broker, and the files that vouch for both sides. Raises ValueError."""
    files = {
        f"{name}_file": Path(path)
        for name, path in (("ca", config.ca), ("cert", config.cert), ("key", config.key))
        if path
    }
    return broker_of(config.broker, version=config.mqtt_version, **files)


def wait_for(link: Link, broker: Broker) -> None:
    """Give the broker a moment; without it the server goes on and says so."""
    if not link.wait_open(FIRST_OPEN_S):
        log.warning(
            "no_broker host=%s port=%s: nothing is received until it is there; trying on. %s",
            broker.host,
            broker.port,
            link.refusal,
        )


def asker(link: Link, plant: Plant) -> Callable[[tuple[StopAdvice, ...]], bool]:
    """Hands stop requests on to control: true once the broker has them all. Said twice, control takes one."""

    def ask(advised: tuple[StopAdvice, ...]) -> bool:
        for advice in advised:
            body = request_of(advice, plant.site, plant.plant.language)
            if not link.deliver(Send(request_topic(plant.site), body, 1, False), ASK_S):
                return False
            log.info(
                "stop_requested machine=%s cause=%s risk=%.2f", advice.machine, advice.cause, advice.risk
            )
        return True

    return ask


def end_when_a_thread_breaks(end: Callable[[], None]) -> list[BaseException]:
    """A thread that broke must not leave a server behind that only looks alive: then `end` is called.

    Returns where the error will be found.
    """
    found: list[BaseException] = []

    def broke(told: threading.ExceptHookArgs) -> None:
        error = told.exc_value or told.exc_type()
        log.error("thread_broken name=%s", told.thread.name if told.thread else "", exc_info=error)
        found.append(error)
        end()

    threading.excepthook = broke
    return found


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is set up: what breaks from here on is no wrong setting."""

    config: AnalyticsConfig
    journal: Journal
    link: Link
    inbox: Inbox
    stream: Stream[StreamState]
    live: LiveModels
    workers: Workers
    follower: Follower | None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises RuntimeError when a thread of it broke."""

        def stop(_signal: int, _frame: FrameType | None) -> None:
            self.inbox.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        sys.setswitchinterval(SWITCH_S)
        broken = end_when_a_thread_breaks(self.inbox.stop)
        keeper = Keeper(self.journal, Path(self.config.history))
        keeper.start()
        if self.follower is not None:
            self.follower.start()
        self.link.start(self.inbox.offer_many, lambda: self.inbox.is_accepting)
        wait_for(self.link, self.link.broker)
        if self.config.ready:
            Path(self.config.ready).touch()
        self.live.start()
        self.stream.run()
        self.live.stop()
        self.workers.close()
        self.link.stop()
        if self.follower is not None:
            self.follower.stop()
        keeper.stop()
        self.journal.close()
        if broken:
            raise RuntimeError("a thread of the server broke; it is to be started anew") from broken[0]


def set_up(config: AnalyticsConfig) -> Server:
    """Make all parts; nothing of them runs yet. Raises PersonError, BrokerError, JournalError, ValueError."""
    plant = read_plant(Path(config.plant), "Correct `plant` in the configuration")
    server = make_folder(Path(config.journal).parent)
    warm_up()
    settings = config.settings
    broker = broker_from(config)
    journal = Journal(Path(config.journal))
    host = Host(plant.site, config.host_id)
    link = Link(broker, host, client_id=f"mitra-{config.host_id}")
    gate = Gate(journal, {machine.id: machine.gateway for machine in plant.machine}, clocks=journal.clocks())
    make_folder(Path(config.desk).parent)
    desk = Desk(Path(config.desk))
    inbox = Inbox(host, gate, journal, publish=link.publish, say_state=link.say_state, desk=desk)
    follower = follower_of(journal, config.influx)

    live = LiveModels(Path(config.registry), config.live_every_s)
    workers = Workers(config.workers or automatic(), live.attach)
    told = ModelsFile(server / MODELS_FILE, live)
    log.info("workers n=%d", workers.workers)

    def update(state: StreamState, batch: Batch) -> tuple[StreamState, Outputs]:
        state, outputs = workers.update(state, batch)
        told.consider(state, batch.now_ns)
        return state, outputs

    stream = Stream(
        inbox,
        journal,
        update,
        new_state(plant, settings),
        snapshots=snapshots_of(server / "snapshots", plant, settings),
        on_advice=asker(link, plant),
        metrics=MetricsFile(server / "ingest.metrics"),
        policy=StreamPolicy(max_blocks=config.max_blocks, max_wait_ms=config.max_wait_ms),
        acquire=Acquire(plant.site, gate.node_of),
    )
    return Server(config, journal, link, inbox, stream, live, workers, follower)


def main() -> int:
    """Parse the arguments and serve. Exit codes as of `mitra --help`."""
    parser = argparse.ArgumentParser(prog="python -m mitra.analytics", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    try:
        server = set_up(load_config(arguments.config))
    except PersonError as error:
        log.error("not_started %s", error)  # noqa: TRY400 (a sentence for a person, not a trace)
        return EXIT_CODES[error.kind]
    except (BrokerError, JournalError, ValueError) as error:
        log.error("not_started %s", error)  # noqa: TRY400
        return EXIT_CODES["setting"]
    server.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
