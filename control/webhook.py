"""Tells other systems (maintenance planning, chat) what was asked, decided and done: signed CloudEvents.

An address from a configuration file must not become a way into the plant: the name is resolved once, every
address it has is judged, and the connection goes to the judged address (no rebinding); redirects are not
followed; cloud metadata is never reachable. Sources: CloudEvents 1.0.2, Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import json
import logging
import queue
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from control.audit import Entry
from control.log import say
from ingest.contract.approval.settings import SettingsError
from ingest.contract.rejected import Rejected

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]
KINDS = frozenset({"proposed", "approved", "vetoed", "timed_out", "receipt", "roster", "audit_failed"})
TIMEOUT_S = 5.0
TRIES = 3
MAX_QUEUE = 500
MAX_ANSWER_BYTES = 4_096
# Link-local, cloud metadata and addresses that hide another one inside: never, whatever is configured.
NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(one)
    for one in (
        *(
            "0.0.0.0/8",
            "169.254.0.0/16",
            "100.100.100.200/32",
            "192.0.0.192/32",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
        *("::/128", "fe80::/10", "fd00:ec2::/32", "ff00::/8", "64:ff9b::/32", "2002::/16", "2001::/32"),
    )
)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """`[[webhook]]`. secret_file: 24 bytes or more; allow_networks: private ones that url may lead to."""

    url: str
    secret_file: str
    allow_networks: tuple[str, ...] = ()
    ca_file: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "allow_networks", tuple(self.allow_networks))
        parts = urlsplit(self.url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
            raise SettingsError(
                f"webhook.url must be https://host/path without a login in it, got {self.url!r}"
            )
        for one in self.allow_networks:
            ipaddress.ip_network(one)


def allowed(address: str, networks: tuple[str, ...]) -> bool:
    """True for a public address, or one in an allowed network; never for metadata and link-local ones.

    >>> allowed("93.184.216.34", ()), allowed("10.0.0.7", ()), allowed("10.0.0.7", ("10.0.0.0/8",))
    (True, False, True)
    >>> allowed("169.254.169.254", ("0.0.0.0/0",)), allowed("::ffff:169.254.169.254", ("::/0",))
    (False, False)
    """
    found: Address = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if any(found in never for never in NEVER if never.version == found.version):
        return False
    if any(found in net for net in map(ipaddress.ip_network, networks) if net.version == found.version):
        return True
    return found.is_global


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name. Raises OSError."""
    return [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def judged_address(host: str, port: int, networks: tuple[str, ...], names: Resolve) -> str | Rejected:
    """The address to connect to: the first, when all that the name has are allowed."""
    try:
        found = names(host, port)
    except OSError as error:
        return Rejected("webhook_unresolved", str(error))
    if not found or not all(allowed(one, networks) for one in found):
        return Rejected("webhook_address", f"{host} is at {', '.join(found) or 'no address'}")
    return found[0]


class _Pinned(http.client.HTTPSConnection):
    """HTTPS to a name, over a connection to an address that was judged before."""

    def __init__(self, address: str, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S, context=context)
        self._address, self._tls = address, context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), TIMEOUT_S)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def cloud_event(entry: Entry, event_id: str) -> bytes:
    """A CloudEvent in its structured JSON form."""
    found = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/mitra/{entry.site}/control",
        "type": f"id.mitra.control.{entry.kind}",
        "subject": str(entry.what.get("machine", entry.site)),
        "time": datetime.fromtimestamp(entry.at, UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": {"who": entry.who, **entry.what},
    }
    return json.dumps(found, ensure_ascii=False).encode()


def signed_headers(secret: bytes, event_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """HMAC-SHA256 over id, time and body, so that the receiver can tell it is ours and fresh."""
    signed = hmac.new(secret, f"{event_id}.{at_s}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "webhook-id": event_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
    }


def post(
    hook: WebhookSettings, secret: bytes, body: bytes, event_id: str, names: Resolve = resolve
) -> int | Rejected:
    """Send one event once: the HTTP status, or why nothing was sent. Raises OSError or HTTPException."""
    parts = urlsplit(hook.url)
    host, port = parts.hostname or "", parts.port or 443
    address = judged_address(host, port, hook.allow_networks, names)
    if isinstance(address, Rejected):
        return address
    context = ssl.create_default_context(cafile=hook.ca_file or None)
    connection = _Pinned(address, host, port, context)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, signed_headers(secret, event_id, int(time.time()), body))
        answer = connection.getresponse()
        answer.read(MAX_ANSWER_BYTES)
        return answer.status
    finally:
        connection.close()


class Webhooks:
    """A thread with a bounded queue: slow receivers cost events, never time at the desk."""

    def __init__(self, hooks: tuple[WebhookSettings, ...], names: Resolve = resolve) -> None:
        """Reads the secrets. Raises SettingsError when one is missing or short."""
        self._hooks = [(hook, _secret(hook)) for hook in hooks]
        self._names = names
        self._queue: queue.Queue[Entry | None] = queue.Queue(MAX_QUEUE)
        self.dropped = self.sent = self.failed = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def offer(self, entry: Entry) -> None:
        """Queue what others may want to know; overflow is dropped and counted."""
        if not self._hooks or entry.kind not in KINDS:
            return
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """End the thread; what still waits is not sent."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(2 * TIMEOUT_S)

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None and not self._closing.is_set():
            event_id = secrets.token_hex(16)
            body = cloud_event(entry, event_id)
            for hook, secret in self._hooks:
                self._deliver(hook, secret, body, event_id)

    def _deliver(self, hook: WebhookSettings, secret: bytes, body: bytes, event_id: str) -> None:
        why = ""
        for attempt in range(TRIES):
            if attempt and self._closing.wait(2.0**attempt):
                break
            try:
                answer = post(hook, secret, body, event_id, self._names)
            except (OSError, http.client.HTTPException) as error:
                why = str(error)
                continue
            if isinstance(answer, Rejected):
                why = f"{answer.reason} {answer.detail}"
                break
            if 200 <= answer < 300:
                self.sent += 1
                return
            why = f"status {answer}"
        self.failed += 1
        say("webhook_failed", logging.WARNING, url=hook.url, why=why)


def _secret(hook: WebhookSettings) -> bytes:
    try:
        found = Path(hook.secret_file).read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"webhook.secret_file cannot be read: {error}") from error
    if len(found) < 24:
        raise SettingsError(f"webhook.secret_file {hook.secret_file} must hold at least 24 bytes")
    return found
