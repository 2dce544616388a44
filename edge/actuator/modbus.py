"""A PLC's coil over Modbus TCP, read back from a discrete input (Modbus Application Protocol V1.1b3)."""

from __future__ import annotations

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from edge.actuator.outputs import RUNNING, STOPPED, UNKNOWN, OutputError

TIMEOUT_S = 1.0


class ModbusCoil:
    """Writes one coil; a discrete input of the drive says whether the machine turns."""

    def __init__(
        self,
        machine: str,
        host: str,
        coil: int,
        feedback: int,
        *,
        port: int = 502,
        unit: int = 1,
        stop_value: bool = True,
        stopped_value: bool = True,
    ) -> None:
        """coil, feedback: addresses counted from 0. Raises ValueError outside the protocol's range."""
        if not (0 <= coil <= 0xFFFF and 0 <= feedback <= 0xFFFF and 0 <= unit <= 247 and 0 < port <= 0xFFFF):
            raise ValueError(f"machine {machine}: coil, feedback 0..65535, unit 0..247, port 1..65535")
        self._host, self._port, self._unit = host, port, unit
        self._coil, self._feedback = coil, feedback
        self._stop_value, self._stopped_value = stop_value, stopped_value

    def stop(self, _by: str, /) -> None:
        """Write the coil once; a write without an answer is reported, not repeated."""
        client = self._client()
        try:
            if not client.connect():
                raise OutputError(f"{self._host}:{self._port} does not answer")
            answer = client.write_coil(self._coil, self._stop_value, device_id=self._unit)
            if answer.isError():
                raise OutputError(str(answer))
        except (ModbusException, OSError) as error:
            raise OutputError(str(error)) from error
        finally:
            client.close()

    def observe(self) -> str:
        """Read the discrete input."""
        client = self._client()
        try:
            if not client.connect():
                return UNKNOWN
            answer = client.read_discrete_inputs(self._feedback, count=1, device_id=self._unit)
            if answer.isError():
                return UNKNOWN
            return STOPPED if bool(answer.bits[0]) == self._stopped_value else RUNNING
        except (ModbusException, OSError):
            return UNKNOWN
        finally:
            client.close()

    def _client(self) -> ModbusTcpClient:
        return ModbusTcpClient(self._host, port=self._port, timeout=TIMEOUT_S, retries=0)
