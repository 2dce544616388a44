"""Control's TOML file: the sites, edges and machines it may ask for, its page, its broker account."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from control.webhook import WebhookSettings
from ingest.contract.approval.keys import PublicKey
from ingest.contract.approval.policy import POLICIES, POLICY_VERSION, Policy
from ingest.contract.approval.settings import (
    BrokerSettings,
    SettingsError,
    build,
    check_known,
    check_port,
    read_table,
    said_of,
    tables_of,
)
from ingest.contract.ids import check_id
from ingest.contract.rejected import Rejected

MAX_SITES = 64


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """`[[site]]`. roster_dir: the roster's public folder; roster_root: pinned at installation."""

    id: str
    name: str
    roster_dir: str
    roster_root: str
    send_roster: bool = False

    def __post_init__(self) -> None:
        check_id(self.id, "site")


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """`[[edge]]`. public_key_file: the edge.pub.json that the actuator made at its first start."""

    id: str
    site: str
    public_key_file: str

    def __post_init__(self) -> None:
        check_id(self.id, "edge")
        check_id(self.site, "site")


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """`[[machine]]`. The edge holds its own copy of criticality; a difference is refused there."""

    id: str
    site: str
    edge: str
    label: str
    line: str = ""
    criticality: str = "normal"

    def __post_init__(self) -> None:
        check_id(self.id, "machine")
        check_id(self.edge, "edge")
        if self.criticality not in POLICIES:
            raise SettingsError(f"machine {self.id}: criticality must be one of {', '.join(POLICIES)}")

    @property
    def policy(self) -> Policy:
        """What a stop of this machine needs."""
        return POLICIES[self.criticality]


@dataclass(frozen=True, slots=True)
class Fatigue:
    """`[fatigue]`: how often people may be asked. Waiting requests are held at most held_s, then dropped."""

    gap_s: int = 600
    per_hour: int = 6
    quiet_after_veto_s: int = 1_800
    dedup_s: int = 3_600
    held_s: int = 1_800

    def __post_init__(self) -> None:
        if min(self.gap_s, self.quiet_after_veto_s, self.dedup_s, self.held_s) < 0 or self.per_hour < 1:
            raise SettingsError("fatigue values must not be negative, per_hour at least 1")


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """The whole file. origin, rp_id: the approver's page; tls_*: set both to serve https."""

    host: str
    port: int
    state_dir: str
    origin: str
    rp_id: str
    broker: BrokerSettings
    site: tuple[SiteSettings, ...]
    edge: tuple[EdgeSettings, ...]
    machine: tuple[MachineSettings, ...]
    fatigue: Fatigue = Fatigue()
    policy_version: int = POLICY_VERSION
    proposal_life_s: int = 600
    ticket_wait_s: int = 60
    session_s: int = 12 * 3_600
    session_idle_s: int = 1_800
    checkpoint_s: int = 10
    allow_software_keys: bool = False
    witnesses: tuple[str, ...] = ()
    webhook: tuple[WebhookSettings, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""

    def __post_init__(self) -> None:
        check_port(self.port)
        sites = {one.id for one in self.site}
        edges = {(one.site, one.id) for one in self.edge}
        if not 1 <= len(sites) <= MAX_SITES or len(sites) != len(self.site):
            raise SettingsError(f"control serves 1..{MAX_SITES} [[site]] tables, each with an id of its own")
        for edge in self.edge:
            if edge.site not in sites:
                raise SettingsError(f"edge {edge.id}: there is no [[site]] {edge.site}")
        machines = [(one.site, one.id) for one in self.machine]
        if len(set(machines)) != len(machines):
            raise SettingsError("a machine is named twice in its site")
        for machine in self.machine:
            if (machine.site, machine.edge) not in edges:
                raise SettingsError(
                    f"machine {machine.id}: site {machine.site} has no [[edge]] {machine.edge}"
                )
        if self.origin.rstrip("/") != self.origin or "://" not in self.origin:
            raise SettingsError(
                f"origin must look like https://host:port without a path, got {self.origin!r}"
            )


def load_settings(path: Path) -> ControlSettings:
    """Read the file. Raises SettingsError with a sentence that says what to do."""
    table = read_table(path)
    with said_of(path):
        check_known(ControlSettings, table)
        table["broker"] = build(BrokerSettings, table.get("broker", {}), "broker.")
        table["fatigue"] = build(Fatigue, table.get("fatigue", {}), "fatigue.")
        kinds: dict[str, type[Any]] = {
            "site": SiteSettings,
            "edge": EdgeSettings,
            "machine": MachineSettings,
            "webhook": WebhookSettings,
        }
        for name, kind in kinds.items():
            table[name] = tuple(build(kind, one, f"{name}.") for one in tables_of(table, name))
        settings = build(ControlSettings, table)
    return replace(settings, witnesses=tuple(settings.witnesses))


def load_public_key(path: Path) -> PublicKey:
    """A public key file. Raises SettingsError when it is none."""
    try:
        found = PublicKey.parse(path.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"the public key {path} cannot be read ({error.strerror}); run that edge's "
            "`mitra actuator --config FILE --init` once and bring its edge.pub.json here"
        ) from error
    if isinstance(found, Rejected):
        raise SettingsError(f"{path} is not a public key: {found.reason} {found.detail}")
    return found
