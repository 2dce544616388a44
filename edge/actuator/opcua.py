"""A stop method of an OPC UA server, read back from a variable. Source: IEC 62541-4 (Call, Read)."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeoutError

from asyncua.sync import Client
from asyncua.ua.uaerrors import UaError

from edge.actuator.outputs import RUNNING, STOPPED, UNKNOWN, OutputError

TIMEOUT_S = 2.0
_FAILURES = (UaError, OSError, TimeoutError, FutureTimeoutError)


class OpcUaMethod:
    """Calls one method without arguments; a variable says whether the machine turns."""

    def __init__(
        self,
        machine: str,
        *,
        url: str,
        object_id: str,
        method_id: str,
        state_id: str,
        stopped_value: str = "stopped",
        security: str = "",
    ) -> None:
        """Node ids as text; security: "Basic256Sha256,SignAndEncrypt,cert,key,server_cert"."""
        if not url.startswith("opc.tcp://"):
            raise ValueError(f"machine {machine}: url must start with opc.tcp://, got {url!r}")
        self._url, self._security = url, security
        self._object, self._method, self._state = object_id, method_id, state_id
        self._stopped_value = stopped_value

    def stop(self, _by: str, /) -> None:
        """Call the method once; a call without an answer is reported, not repeated."""
        try:
            with self._client() as client:
                node = client.get_node(self._object)
                node.call_method(client.get_node(self._method))
        except _FAILURES as error:
            raise OutputError(f"{self._url}: {error}") from error

    def observe(self) -> str:
        """Read the variable."""
        try:
            with self._client() as client:
                value = client.get_node(self._state).read_value()
        except _FAILURES:
            return UNKNOWN
        if value is None:
            return UNKNOWN
        return STOPPED if str(value).lower() == self._stopped_value.lower() else RUNNING

    def _client(self) -> Client:
        client = Client(self._url, timeout=TIMEOUT_S, sync_wrapper_timeout=2 * TIMEOUT_S)
        if self._security:
            client.set_security_string(self._security)
        return client
