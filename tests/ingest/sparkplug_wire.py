"""Messages as edge nodes send them, for the tests of the host side."""

from __future__ import annotations

import struct

from ingest.contract import channels as ch
from ingest.contract.metrics import Channel, DataType
from ingest.contract.payload import Birth, birth_of, write_birth, write_message
from ingest.contract.topics import Kind, device_topic, node_topic
from ingest.contract.values import Message, MessageKey, Scalar, Waveform

S = 1_000_000_000
NOW = 1_700_000_000 * S
SITE = "plant-1"
NODE_CHANNELS = (Channel("bdSeq", DataType.INT64), Channel(ch.REBIRTH, DataType.BOOLEAN))
CHANNELS = (
    Channel(ch.BOOT, DataType.UINT64, 1),
    Channel(ch.SEQ, DataType.UINT64, 2),
    Channel("Vibration/x", DataType.INT16_ARRAY, 3, "g", 1000.0, 0.001),
    Channel("Power/Active", DataType.DOUBLE, 4, "kW"),
)
BIRTH: Birth = birth_of(CHANNELS)
SAMPLES = struct.pack("<256h", *range(256))


def nbirth(node: str = "gw-1", seq: int = 0, bdseq: int = 1) -> tuple[str, bytes]:
    declared = ((NODE_CHANNELS[0], bdseq), (NODE_CHANNELS[1], False))
    return node_topic(SITE, Kind.NBIRTH, node), write_birth(declared, seq, NOW)


def ndeath(node: str = "gw-1", bdseq: int = 1) -> tuple[str, bytes]:
    return node_topic(SITE, Kind.NDEATH, node), write_birth(((NODE_CHANNELS[0], bdseq),), None, NOW)


def dbirth(seq: int, node: str = "gw-1", machine: str = "pump-1") -> tuple[str, bytes]:
    return device_topic(SITE, Kind.DBIRTH, node, machine), write_birth(
        ((c, None) for c in CHANNELS), seq, NOW
    )


def message(
    at_ns: int = NOW,
    *,
    key: int | None = None,
    power: float = 1.0,
    node: str = "gw-1",
    machine: str = "pump-1",
    waves: bool = True,
    boot: int = 7,
    historical: bool = False,
) -> Message:
    return Message(
        node,
        machine,
        at_ns,
        (Waveform("x", SAMPLES, "int16", 1000.0, 0.001, at_ns),) if waves else (),
        (Scalar("Power/Active", power, at_ns),),
        MessageKey(node, boot, key) if key is not None else None,
        historical,
    )


def ddata(said: Message, seq: int, birth: Birth = BIRTH) -> tuple[str, bytes]:
    topic = device_topic(SITE, Kind.DDATA, said.node, said.machine)
    return topic, write_message(said, birth, seq, historical=said.historical)
