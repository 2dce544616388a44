"""Each output stops and reads back, and says unknown rather than guess."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from asyncua import Server

from edge.actuator.digital import DigitalOutput
from edge.actuator.modbus import ModbusCoil
from edge.actuator.opcua import OpcUaMethod
from edge.actuator.outputs import OUTPUTS, OutputError, Simulated, make_output
from mitra.supervisor import free_port


def test_every_line_of_the_table_can_be_loaded() -> None:
    with pytest.raises(ValueError, match="output must be one of"):
        make_output("explosive", "fan-1", {})
    for kind in OUTPUTS:
        with pytest.raises(ValueError, match="fan-1"):
            make_output(kind, "fan-1", {"no_such_setting": 1})


def test_simulated_reads_its_own_switch(tmp_path: Path) -> None:
    output = Simulated("fan-1", str(tmp_path))
    assert output.observe() == "running"
    output.stop("p1")
    assert output.observe() == "stopped"
    (tmp_path / "fan-1.json").write_bytes(b'{"run": "maybe"}')
    assert output.observe() == "unknown"
    (tmp_path / "fan-1.json").write_bytes(b"{")
    assert output.observe() == "unknown"


def test_a_digital_output_believes_only_its_feedback(tmp_path: Path) -> None:
    value, feedback = tmp_path / "value", tmp_path / "feedback"
    value.write_text("0\n")
    feedback.write_text("0\n")
    output = DigitalOutput("fan-1", str(value), str(feedback))
    output.stop("p1")
    assert value.read_text() == "1\n"
    assert output.observe() == "running"
    feedback.write_text("1\n")
    assert output.observe() == "stopped"
    feedback.unlink()
    assert output.observe() == "unknown"
    with pytest.raises(OutputError):
        DigitalOutput("fan-1", str(tmp_path / "gone"), str(feedback)).stop("p1")


@pytest.fixture
def plc() -> Iterator[int]:
    """A small Modbus TCP server of our own: coil 3 stops the motor, input 5 says that it stands."""
    port, coils = free_port(), {3: False}
    server = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        while True:
            try:
                one, _ = server.accept()
            except OSError:
                return
            with one:
                while head := one.recv(7):
                    body = one.recv(int.from_bytes(head[4:6], "big") - 1)
                    address = int.from_bytes(body[1:3], "big")
                    if body[0] == 5:
                        coils[address] = body[3:5] == b"\xff\x00"
                        answer = body
                    elif address == 5:
                        answer = bytes([2, 1, coils[3]])
                    else:
                        answer = bytes([0x80 | body[0], 2])
                    one.sendall(head[:4] + (len(answer) + 1).to_bytes(2, "big") + head[6:7] + answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield port
    server.close()


def test_a_modbus_coil_stops_and_is_read_back(plc: int) -> None:
    output = ModbusCoil("fan-1", "127.0.0.1", coil=3, feedback=5, port=plc)
    assert output.observe() == "running"
    output.stop("p1")
    assert output.observe() == "stopped"
    assert ModbusCoil("fan-1", "127.0.0.1", coil=3, feedback=6, port=plc).observe() == "unknown"


def test_a_plc_that_does_not_answer_is_unknown() -> None:
    output = ModbusCoil("fan-1", "127.0.0.1", coil=3, feedback=5, port=free_port())
    assert output.observe() == "unknown"
    with pytest.raises(OutputError):
        output.stop("p1")


@pytest.fixture
def opc_server() -> Iterator[tuple[str, str, str, str]]:
    """An OPC UA server with a motor that has a Stop method and a State variable."""
    from_thread: list[tuple[str, str, str, str]] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        server = Server()
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{free_port()}")
        space = await server.register_namespace("plant")
        motor = await server.nodes.objects.add_object(space, "motor")
        state = await motor.add_variable(space, "State", "running")

        async def stop(_parent: object) -> list[object]:
            await state.write_value("stopped")
            return []

        method = await motor.add_method(space, "Stop", stop, [], [])
        async with server:
            ids = (motor.nodeid.to_string(), method.nodeid.to_string(), state.nodeid.to_string())
            from_thread.append((server.endpoint.geturl(), *ids))
            ready.set()
            while not over.is_set():
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    yield from_thread[0]
    over.set()
    thread.join(20)


@pytest.mark.full
def test_an_opcua_method_stops_and_is_read_back(opc_server: tuple[str, str, str, str]) -> None:
    url, motor, method, state = opc_server
    output = OpcUaMethod("fan-1", url=url, object_id=motor, method_id=method, state_id=state)
    assert output.observe() == "running"
    output.stop("p1")
    assert output.observe() == "stopped"
    with pytest.raises(OutputError):
        OpcUaMethod("fan-1", url=url, object_id=motor, method_id="i=999", state_id=state).stop("p1")


def test_an_opcua_server_that_does_not_answer_is_unknown() -> None:
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    output = OpcUaMethod("fan-1", url=url, object_id="i=1", method_id="i=2", state_id="i=3")
    assert output.observe() == "unknown"
    with pytest.raises(OutputError):
        output.stop("p1")
