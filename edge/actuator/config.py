"""The actuator's TOML file. An unknown key is an error: a misspelt safety setting must not pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ingest.contract.approval.keys import ED25519, ES256
from ingest.contract.approval.messages import MAX_TTL_S
from ingest.contract.approval.policy import POLICIES, POLICY_VERSION, Policy
from ingest.contract.approval.settings import (
    BrokerSettings,
    SettingsError,
    build,
    check_known,
    read_table,
    said_of,
    tables_of,
)
from ingest.contract.ids import check_id

MAX_MACHINES = 256


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """`[[machine]]`. label: shown to approvers; settings: what the output needs (`[machine.settings]`)."""

    id: str
    label: str
    output: str
    criticality: str = "normal"
    hold_off_s: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_id(self.id, "machine")
        if self.criticality not in POLICIES:
            raise SettingsError(f"machine {self.id}: criticality must be one of {', '.join(POLICIES)}")

    @property
    def policy(self) -> Policy:
        """What a stop of this machine needs. Only the time to hold may be set apart from the table."""
        policy = POLICIES[self.criticality]
        if self.hold_off_s is None:
            return policy
        return Policy(policy.approvals_needed, policy.presence, self.hold_off_s)


@dataclass(frozen=True, slots=True)
class ActuatorConfig:
    """The whole file. Folders are this process's own; origin and rp_id pin the approver's page."""

    site: str
    edge: str
    state_dir: str
    roster_dir: str
    roster_root: str
    panel_dir: str
    origin: str
    rp_id: str
    broker: BrokerSettings
    machine: tuple[MachineConfig, ...]
    policy_version: int = POLICY_VERSION
    ticket_ttl_s: int = 600
    read_back_s: float = 5.0
    key_alg: str = ED25519
    allow_software_keys: bool = False

    def __post_init__(self) -> None:
        check_id(self.site, "site")
        check_id(self.edge, "edge")
        if not 1 <= self.ticket_ttl_s <= MAX_TTL_S:
            raise SettingsError(f"ticket_ttl_s must be 1..{MAX_TTL_S}, got {self.ticket_ttl_s}")
        if not 0 < self.read_back_s <= 60:
            raise SettingsError(f"read_back_s must be in (0, 60], got {self.read_back_s}")
        if self.key_alg not in (ED25519, ES256):
            raise SettingsError(f"key_alg must be {ED25519} or {ES256}, got {self.key_alg!r}")
        ids = [machine.id for machine in self.machine]
        if not 1 <= len(ids) <= MAX_MACHINES or len(set(ids)) != len(ids):
            raise SettingsError(
                f"an actuator has 1..{MAX_MACHINES} [[machine]] tables, each with an id of its own"
            )

    @property
    def machines(self) -> MappingProxyType[str, MachineConfig]:
        """Machines by id."""
        return MappingProxyType({machine.id: machine for machine in self.machine})


def load_config(path: Path) -> ActuatorConfig:
    """Read the file. Raises SettingsError with a sentence that says what to do."""
    table = read_table(path)
    with said_of(path):
        check_known(ActuatorConfig, table)
        machines = tables_of(table, "machine")
        table.pop("machine", None)
        broker = table.pop("broker", {})
        config: ActuatorConfig = build(
            ActuatorConfig,
            {
                **table,
                "broker": build(BrokerSettings, broker, "broker."),
                "machine": tuple(build(MachineConfig, one, "machine.") for one in machines),
            },
        )
    return config
