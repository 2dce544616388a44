"""`python -m edge --config FILE`: run the agent of one gateway. `--status` prints what it last said.

Exit codes: 0 stopped or drained, 3 a setting is wrong, 5 the disk does not let the outbox be opened.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import msgspec

from edge.agent import Agent
from edge.config import AgentConfig, ConfigError, load_config
from edge.log import to_stderr
from edge.outbox_file import Connect, OutboxUnavailable, connect_sqlite
from edge.place import Source
from edge.sensors import SensorConfigError, build
from edge.status import read_status
from ingest.contract.explain import unreadable
from ingest.contract.plant import Plant, PlantError, parse_plant

SETTING, DISK = 3, 5


def _plant(path: Path) -> Plant:
    try:
        return parse_plant(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The plant file {unreadable(path, error)}") from error


def agent_of(config: AgentConfig, connect: Connect = connect_sqlite) -> Agent:
    """The agent that a configuration describes. Raises ConfigError, PlantError, SensorConfigError, and
    OutboxUnavailable or OSError when the data folder cannot be used."""
    path = Path(config.plant)
    plant = _plant(path)
    if config.gateway not in {gateway.id for gateway in plant.gateway}:
        known = ", ".join(gateway.id for gateway in plant.gateway)
        raise ConfigError(f"gateway {config.gateway!r} is not in {path}; it declares {known or 'none'}")
    machines = plant.on(config.gateway)
    if not machines:
        raise ConfigError(f"{path} gives gateway {config.gateway!r} no machine, so there is nothing to read")
    sources: dict[str, Source] = {
        machine.id: build(plant, machine, path.parent, seed)
        for seed, machine in enumerate(machines)
        if machine.sensor
    }
    if not sources:
        raise ConfigError(f"No machine of gateway {config.gateway!r} in {path} has a [machine.sensor] table")
    return Agent(config, plant.site, sources, connect)


class NotStartedError(Exception):
    """The agent cannot run: a sentence for a person, and the exit code."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def run(config: AgentConfig, connect: Connect = connect_sqlite) -> None:
    """Run until SIGTERM or SIGINT, or until drained if so configured. Raises NotStartedError."""
    try:
        agent = agent_of(config, connect)
    except (ConfigError, PlantError, SensorConfigError) as error:
        raise NotStartedError(SETTING, str(error)) from error
    except (OutboxUnavailable, OSError) as error:
        raise NotStartedError(
            DISK,
            f"The outbox in {config.data_dir} cannot be opened ({error}), so nothing would survive a crash "
            "and the agent does not start. Free or repair the disk, or name another data_dir.",
        ) from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    agent.run()


def serve(path: Path) -> None:
    """`run` with the configuration in a file, and a log on stderr. Raises NotStartedError."""
    config = config_of(path)
    to_stderr()
    run(config)


def config_of(path: Path) -> AgentConfig:
    """The configuration in a file. Raises NotStartedError."""
    try:
        return load_config(path)
    except ConfigError as error:
        raise NotStartedError(SETTING, str(error)) from error


def status_of(path: Path) -> str:
    """What the agent of this configuration last said of itself, as JSON. Raises NotStartedError."""
    status = read_status(Path(config_of(path).data_dir))
    return "null" if status is None else msgspec.json.encode(status).decode()


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m edge", description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="TOML file, see docs/edge.md")
    parser.add_argument("--status", action="store_true", help="print the agent's last status as JSON and end")
    options = parser.parse_args(argv)
    try:
        if options.status:
            print(status_of(options.config))
        else:
            serve(options.config)
    except NotStartedError as error:
        print(error, file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
