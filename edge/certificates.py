"""Birth and death certificates of the node and its machines, and the will that the broker keeps."""

from __future__ import annotations

from ingest.contract import channels as ch
from ingest.contract.metrics import Channel, DataType, add_metric
from ingest.contract.payload import write_birth
from ingest.contract.sparkplug_b_pb2 import Payload

_COMMANDS = (
    Channel(ch.COMMITTED_BOOT, DataType.UINT64),
    Channel(ch.COMMITTED_SEQ, DataType.INT64),
    Channel(ch.COMMITTED_RANGES, DataType.UINT64_ARRAY),
    Channel(ch.ACQUIRE_MACHINE, DataType.STRING),
    Channel(ch.ACQUIRE_SAMPLES, DataType.INT64),
    Channel(ch.ACQUIRE_PERIOD_NS, DataType.INT64),
    Channel(ch.ACQUIRE_UNTIL_NS, DataType.INT64),
)
"""What the host may write to the node."""

_UNITS = {
    ch.POWER_KW: "kW",
    ch.ENERGY_KWH: "kWh",
    ch.SPEED_RPM: "rpm",
}
_UNITS_BY_GROUP = {"Temperature": "degC", "Current": "A", "Voltage": "V"}
Values = dict[str, float | int | None]


def unit_of(name: str) -> str:
    """The unit that the house gives a scalar channel; empty for channels it does not know.

    >>> unit_of("Temperature/bearing"), unit_of("Power/Active"), unit_of("Count/Total")
    ('degC', 'kW', '')
    """
    return _UNITS.get(name) or _UNITS_BY_GROUP.get(name.split("/", 1)[0], "")


def node_death(bdseq: int) -> bytes:
    """NDEATH: the number of the session that ends; no seq."""
    payload = Payload()
    add_metric(payload, ch.BDSEQ, DataType.INT64, bdseq)
    return payload.SerializeToString()


def node_birth(bdseq: int, boot_id: int, own: tuple[Channel, ...], time_ns: int) -> bytes:
    """NBIRTH: seq 0, the will's bdSeq, the rebirth switch, and every metric the node may send or take."""
    values: dict[str, bool | int | float | str | None] = {ch.BOOT: boot_id}
    declared = [
        (Channel(ch.BDSEQ, DataType.INT64), bdseq),
        (Channel(ch.REBIRTH, DataType.BOOLEAN), False),
        *((channel, values.get(channel.name)) for channel in own),
        *((channel, None) for channel in _COMMANDS),
    ]
    return write_birth(declared, 0, time_ns)


def machine_birth(own: tuple[Channel, ...], values: Values, seq: int, time_ns: int) -> bytes:
    """DBIRTH: every channel the machine may send, with the value last seen (null for none and for arrays)."""
    declared = []
    for channel in own:
        unit = channel.unit or unit_of(channel.name)
        named = Channel(channel.name, channel.datatype, channel.alias, unit, channel.rate_hz, channel.scale)
        declared.append((named, values.get(channel.name)))
    return write_birth(declared, seq, time_ns)


def machine_death(seq: int, time_ns: int) -> bytes:
    """DDEATH: the machine's sensor does not answer; its values are stale."""
    return Payload(timestamp=time_ns // 1_000_000, seq=seq).SerializeToString()
