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


def run(config: AgentConfig, connect: Connect = connect_sqlite) -> int:
    """Run until SIGTERM or SIGINT, or until drained when the configuration says so. Returns the exit code."""
    try:
        agent = agent_of(config, connect)
    except (ConfigError, PlantError, SensorConfigError) as error:
        print(error, file=sys.stderr)
        return SETTING
    except (OutboxUnavailable, OSError) as error:
        print(
            f"The outbox in {config.data_dir} cannot be opened ({error}), so nothing would survive a crash "
            "and the agent does not start. Free or repair the disk, or name another data_dir.",
            file=sys.stderr,
        )
        return DISK
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    agent.run()
    return 0


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m edge", description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="TOML file, see docs/edge.md")
    parser.add_argument("--status", action="store_true", help="print the agent's last status as JSON and end")
    options = parser.parse_args(argv)
    try:
        config = load_config(options.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return SETTING
    if options.status:
        status = read_status(Path(config.data_dir))
        print("null" if status is None else msgspec.json.encode(status).decode())
        return 0
    to_stderr()
    return run(config)


if __name__ == "__main__":
    sys.exit(main())
