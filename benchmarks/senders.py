"""Many machines on a few gateways, cheap enough to load a server from the same two cores.

Each gateway is a socket that speaks MQTT 3.1.1 and Sparkplug B: births, keys, sequence, and a window of
messages that the host has not committed yet. The blocks are made once; a message is patched, not encoded.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from ingest.contract import channels as ch
from ingest.contract.limits import FIRST_WINDOW_MESSAGES
from ingest.contract.metrics import Channel, DataType
from ingest.contract.payload import (
    Committed,
    birth_of,
    read_committed,
    read_payload,
    write_birth,
    write_message,
)
from ingest.contract.rejected import Rejected
from ingest.contract.topics import Kind, device_topic, node_topic
from ingest.contract.values import Message, MessageKey, Scalar, Waveform

RATE_HZ, SCALE_G, N_TEMPLATES = 25_600.0, 0.001, 8
MARK_NS = 1_234_567_890_123_456_789
MARK_SEQ64, MARK_BOOT = (1 << 62) + 5, (1 << 62) + 77
NODE_BIRTH = ((Channel("bdSeq", DataType.INT64), 0), (Channel(ch.REBIRTH, DataType.BOOLEAN), False))
CHANNELS = (
    Channel(ch.BOOT, DataType.UINT64, 1),
    Channel(ch.SEQ, DataType.UINT64, 2),
    *(
        Channel(f"Vibration/{axis}", DataType.INT16_ARRAY, 3 + i, "g", RATE_HZ, SCALE_G)
        for i, axis in enumerate("xyz")
    ),
    Channel("Power/Active", DataType.DOUBLE, 6, "kW"),
    Channel("Temperature/bearing", DataType.DOUBLE, 7, "degC"),
    Channel("Speed", DataType.DOUBLE, 8, "rpm"),
)


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 127:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _length(n: int) -> bytes:
    """MQTT's remaining length."""
    return varint(n)


def _packet(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _length(len(body)) + body


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


class Template:
    """One message to be sent many times, with other keys and times."""

    def __init__(self, seed: int, n_samples: int) -> None:
        rng = np.random.default_rng(seed)
        at = np.arange(n_samples) / RATE_HZ
        waves = []
        for i, axis in enumerate("xyz"):
            tone = 20 * np.sin(2 * np.pi * 24.7 * at + i) + 6 * np.sin(2 * np.pi * 49.4 * at)
            counts = (tone + rng.normal(0, 120, n_samples)).astype("<i2")
            waves.append(Waveform(axis, counts.tobytes(), "int16", RATE_HZ, SCALE_G, MARK_NS))
        scalars = (
            Scalar("Power/Active", 7.5, MARK_NS),
            Scalar("Temperature/bearing", 55.0, MARK_NS),
            Scalar("Speed", 1_482.0, MARK_NS),
        )
        key = MessageKey("n", MARK_BOOT, MARK_SEQ64)
        message = Message("n", "m", MARK_NS, tuple(waves), scalars, key)
        body = write_message(message, birth_of(CHANNELS), 200)
        tail = b"\x18" + varint(200)
        assert body.endswith(tail)
        self.raw = bytearray(body[: -len(tail)])
        self._at = {
            mark: [i for i in range(len(body)) if body.startswith(varint(mark), i)]
            for mark in (MARK_NS, MARK_NS // 1_000_000, MARK_SEQ64, MARK_BOOT)
        }
        if [len(self._at[mark]) for mark in (MARK_NS, MARK_SEQ64, MARK_BOOT)] != [3, 1, 1]:
            raise AssertionError(f"marks are not where they were: {self._at}")

    def patch(self, now_ns: int, seq64: int, boot_id: int) -> bytearray:
        """The payload without its `seq`, as of now."""
        for mark, value in (
            (MARK_NS, now_ns),
            (MARK_NS // 1_000_000, now_ns // 1_000_000),
            (MARK_SEQ64, (1 << 62) + seq64),
            (MARK_BOOT, boot_id),
        ):
            raw = varint(value)
            for i in self._at[mark]:
                self.raw[i : i + len(raw)] = raw
        return self.raw


@dataclass(slots=True)
class Gateway:
    """One edge node and its socket."""

    site: str
    node: str
    machines: list[str]
    boot_id: int
    sock: socket.socket
    seq: int = 0
    seq64: int = 0
    through: int = 0
    window: int = FIRST_WINDOW_MESSAGES
    read: bytearray = field(default_factory=bytearray)
    topics: list[bytes] = field(default_factory=list)

    def publish(self, topic: bytes, *parts: bytes | bytearray) -> None:
        """QoS 0, not retained; waits while the broker does not take it."""
        n_parts = sum(len(part) for part in parts)
        head = b"\x30" + _length(2 + len(topic) + n_parts) + struct.pack(">H", len(topic)) + topic
        n_sent = self.sock.sendmsg((head, *parts))  # one system call, and no copy to join them
        if n_sent < len(head) + n_parts:
            self.sock.sendall(b"".join((head, *parts))[n_sent:])

    def next_seq(self) -> int:
        """Sparkplug's sequence number."""
        seq, self.seq = self.seq, (self.seq + 1) % 256
        return seq

    def birth(self, now_ns: int) -> None:
        """NBIRTH and a DBIRTH of every machine."""
        self.seq = 0
        self.publish(
            node_topic(self.site, Kind.NBIRTH, self.node).encode(),
            write_birth(NODE_BIRTH, self.next_seq(), now_ns),
        )
        for machine in self.machines:
            body = write_birth(((channel, None) for channel in CHANNELS), self.next_seq(), now_ns)
            self.publish(device_topic(self.site, Kind.DBIRTH, self.node, machine).encode(), body)
        self.topics = [
            device_topic(self.site, Kind.DDATA, self.node, machine).encode() for machine in self.machines
        ]

    def send(self, which: int, template: Template) -> None:
        """One block of one machine."""
        body = template.patch(time.time_ns(), self.seq64, self.boot_id)
        self.seq64 += 1
        self.publish(self.topics[which], body, b"\x18" + varint(self.next_seq()))

    def hear(self, now_ns: int) -> None:
        """Read what the host said: the watermark, or that births are wanted."""
        self.read += self.sock.recv(1 << 16)
        while True:
            packet = _take(self.read)
            if packet is None:
                return
            kind, body = packet
            if kind >> 4 != 3:
                continue
            n_topic = struct.unpack_from(">H", body)[0]
            payload = read_payload(bytes(body[2 + n_topic :]))
            if isinstance(payload, Rejected):
                continue
            said = read_committed(payload)
            if isinstance(said, Committed):
                self.window = said.window
                if said.boot_id == self.boot_id and said.ranges:
                    self.through = max(self.through, said.ranges[-1][1] - (1 << 62) + 1)
            elif any(metric.name == ch.REBIRTH for metric in payload.metrics):
                self.birth(now_ns)


def _take(buffer: bytearray) -> tuple[int, bytes] | None:
    length, shift = 0, 0
    for i in range(1, 5):
        if i >= len(buffer):
            return None
        length |= (buffer[i] & 0x7F) << shift
        shift += 7
        if not buffer[i] & 0x80:
            if len(buffer) < 1 + i + length:
                return None
            found = buffer[0], bytes(buffer[i + 1 : i + 1 + length])
            del buffer[: i + 1 + length]
            return found
    raise ValueError("not MQTT")


def open_gateway(port: int, site: str, node: str, machines: list[str], login: tuple[str, str]) -> Gateway:
    """Connect and subscribe to the node's commands."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    user, password = login
    flags = 0b10 | (0b11000000 if user else 0)
    body = _text("MQTT") + bytes([4, flags]) + struct.pack(">H", 600) + _text(f"load-{node}")
    sock.sendall(_packet(0x10, body + (_text(user) + _text(password) if user else b"")))
    if sock.recv(4)[3:] != b"\x00":
        raise ConnectionError(f"the broker does not want {node}")
    sock.sendall(_packet(0x82, b"\x00\x01" + _text(node_topic(site, Kind.NCMD, node)) + b"\x00"))
    return Gateway(site, node, machines, time.time_ns() & ((1 << 62) - 1) | 1 << 61, sock)


def main() -> int:
    """Read a job from stdin, then a phase from each further line, and print what was sent."""
    job = json.loads(sys.stdin.readline())
    logins = job["logins"]
    gateways = [
        open_gateway(job["port"], job["site"], node, machines, tuple(logins.get(node, ("", ""))))
        for node, machines in job["gateways"].items()
    ]
    templates = [Template(seed, job["samples"]) for seed in range(N_TEMPLATES)]
    selector = selectors.DefaultSelector()
    for gateway in gateways:
        gateway.birth(time.time_ns())
        selector.register(gateway.sock, selectors.EVENT_READ, gateway)
    time.sleep(job["settle_s"])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        sent = _send(gateways, templates, selector, json.loads(line), job["window"])
        print(json.dumps(sent), flush=True)
    return 0


def _send(
    gateways: list[Gateway],
    templates: list[Template],
    selector: selectors.BaseSelector,
    phase: dict[str, float],
    window: int,
) -> dict[str, float]:
    """Offer phase["per_s"] blocks a second for phase["seconds"], evenly over all machines."""
    turns = [
        (gateway, i)
        for i in range(len(gateways[0].machines))
        for gateway in gateways
        if i < len(gateway.machines)
    ]
    cpu_s, began = time.process_time(), time.monotonic()
    n_sent, n_due, waited_s = 0, 0, 0.0
    while (passed := time.monotonic() - began) < phase["seconds"]:
        for key, _ in selector.select(0):
            key.data.hear(time.time_ns())
        n_due = int(passed * phase["per_s"])
        if n_sent >= n_due:
            time.sleep(0.0005)
            continue
        for _ in range(min(32, n_due - n_sent)):
            gateway, which = turns[n_sent % len(turns)]
            if gateway.seq64 - gateway.through >= min(window, gateway.window):
                waited_s += 0.001
                time.sleep(0.001)
                break
            gateway.send(which, templates[n_sent % N_TEMPLATES])
            n_sent += 1
    ended = time.monotonic()
    while time.monotonic() < ended + phase["drain_s"] and any(g.through < g.seq64 for g in gateways):
        for key, _ in selector.select(0.05):
            key.data.hear(time.time_ns())
    return {
        "sent": n_sent,
        "seconds": ended - began,
        "uncommitted": sum(gateway.seq64 - gateway.through for gateway in gateways),
        "drained_s": time.monotonic() - ended,
        "cpu_s": time.process_time() - cpu_s,
        "waited_s": waited_s,
    }


if __name__ == "__main__":
    raise SystemExit(main())
