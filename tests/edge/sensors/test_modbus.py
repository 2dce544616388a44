"""The Modbus sensor against a real Modbus TCP server."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import ModbusTcpServer

from edge.sensors import SensorConfigError, build
from edge.sensors.modbus import FORMATS, decode, spans
from ingest.contract.plant import Plant
from ingest.contract.values import Scalar

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND
MakePlant = Callable[..., Plant]
VALUE = 1234.5
HOLDING = [*struct.unpack(">2H", struct.pack(">f", VALUE)), 0xFFFE, 7, 0, *([0] * 200), 612]
INPUT = [struct.unpack(">H", struct.pack(">h", -55))[0]] * 10


class Server:
    """A Modbus TCP server in a thread of its own."""

    def __init__(self, port: int) -> None:
        device = ModbusDeviceContext(
            hr=ModbusSequentialDataBlock(1, HOLDING), ir=ModbusSequentialDataBlock(1, INPUT)
        )
        self._context = ModbusServerContext(devices=device, single=True)
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._server = ModbusTcpServer(self._context, address=("127.0.0.1", self._port))
        await self._server.serve_forever(background=True)
        self._stopped = asyncio.Event()
        self._ready.set()
        await self._stopped.wait()
        await self._server.shutdown()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)


@pytest.fixture
def server(free_port: int) -> Iterator[int]:
    running = Server(free_port)
    running.start()
    yield free_port
    running.stop()


def table(port: int, *registers: dict[str, object]) -> dict[str, object]:
    return {
        "kind": "modbus",
        "host": "127.0.0.1",
        "port": port,
        "timeout_s": 2.0,
        "registers": list(registers),
    }


def test_registers_of_a_real_server_become_scaled_channels(
    server: int, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(
        **table(
            server,
            {"channel": "Power/Active", "address": 0, "type": "float32"},
            {"channel": "Speed", "address": 2, "type": "int16", "scale": 2.0, "offset": 100.0},
            {"channel": "Temperature/oil", "address": 205, "type": "uint16", "scale": 0.1},
            {"channel": "Temperature/winding", "address": 4, "type": "int16", "table": "input"},
        )
    )
    sensor = build(plant, plant.machine[0], tmp_path)
    said = sensor.read(T0)
    assert sensor.trouble is None
    assert {one.channel: one.value for one in said if isinstance(one, Scalar)} == {
        "Power/Active": VALUE,
        "Speed": 96.0,
        "Temperature/oil": pytest.approx(61.2),
        "Temperature/winding": -55.0,
    }
    sensor.close()


def test_a_refused_address_names_the_registers(server: int, plant_with: MakePlant, tmp_path: Path) -> None:
    plant = plant_with(**table(server, {"channel": "Speed", "address": 9000, "type": "int16"}))
    sensor = build(plant, plant.machine[0], tmp_path)
    assert sensor.read(T0) == ()
    assert sensor.trouble is not None
    assert "9000" in sensor.trouble
    sensor.close()


def test_a_device_that_comes_back_is_read_again(
    plant_with: MakePlant, tmp_path: Path, free_port: int
) -> None:
    plant = plant_with(**table(free_port, {"channel": "Speed", "address": 2, "type": "uint16"}))
    sensor = build(plant, plant.machine[0], tmp_path)
    first = Server(free_port)
    first.start()
    assert sensor.read(T0) != ()
    first.stop()
    assert sensor.read(T0 + SECOND) == ()
    assert sensor.trouble
    second = Server(free_port)
    second.start()
    assert sensor.read(T0 + 10 * SECOND) != ()
    assert sensor.trouble is None
    sensor.close()
    second.stop()


@pytest.mark.parametrize("kind", sorted(FORMATS))
@pytest.mark.parametrize("order", ["big", "little"])
def test_every_type_is_decoded_in_both_word_orders(kind: str, order: str) -> None:
    raw = struct.pack(">" + FORMATS[kind], 77)
    words = list(struct.unpack(f">{len(raw) // 2}H", raw))
    assert decode(words if order == "big" else words[::-1], kind, order) == 77.0


def test_neighbours_share_a_request_and_distant_registers_do_not(
    plant_with: MakePlant, tmp_path: Path
) -> None:
    registers = [{"channel": f"C/{a}", "address": a, "type": "float32"} for a in (0, 2, 8, 40, 150)]
    plant = plant_with(**table(1, *registers))
    sensor = build(plant, plant.machine[0], tmp_path).sensor
    assert [(span.first, span.count) for span in sensor._spans] == [(0, 10), (40, 2), (150, 2)]
    assert spans([]) == ()


@pytest.mark.parametrize(
    ("register", "words"),
    [
        ({"channel": "C", "address": 0, "type": "decimal"}, "decimal"),
        ({"channel": "C", "address": 70_000, "type": "int16"}, "address"),
        ({"channel": "C", "address": 0, "type": "int16", "table": "coils"}, "coils"),
        ({"address": 0, "type": "int16"}, "channel"),
        ({"channel": "C" * 200, "address": 0, "type": "int16"}, "128"),
    ],
)
def test_impossible_registers_are_refused(
    register: dict[str, object], words: str, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(**table(1, register))
    with pytest.raises(SensorConfigError, match=words):
        build(plant, plant.machine[0], tmp_path)
