"""Attack: a webhook's address leads into the plant, to this machine, or to a cloud's metadata."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from control.audit import Entry
from control.webhook import (
    TRIES,
    Webhooks,
    WebhookSettings,
    allowed,
    cloud_event,
    judged_address,
    post,
)
from ingest.contract.approval.settings import SettingsError
from ingest.contract.rejected import Rejected

ENTRY = Entry(1_800_000_000, "plant-1", "receipt", "edge gw-1", {"machine": "fan-1", "result": "confirmed"})
SECRET = b"s" * 32
INSIDE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "0.0.0.0",
    "169.254.169.254",
    "100.100.100.200",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
]
METADATA = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "fd00:ec2::254",
    "100.100.100.200",
    "64:ff9b::a9fe:a9fe",
]


@pytest.mark.parametrize("address", INSIDE)
def test_webhook_ssrf_to_an_address_inside_is_refused(address: str) -> None:
    assert not allowed(address, ())
    found = judged_address("hook.example", 443, (), lambda _h, _p: [address])
    assert isinstance(found, Rejected)
    # One bad address among good ones is enough: the next connection could take it.
    found = judged_address("hook.example", 443, (), lambda _h, _p: ["93.184.216.34", address])
    assert isinstance(found, Rejected)


@pytest.mark.parametrize("address", METADATA)
def test_webhook_ssrf_to_metadata_is_refused_even_when_everything_is_allowed(address: str) -> None:
    assert not allowed(address, ("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize(
    "url",
    [
        "http://hook.example/",
        "file:///etc/passwd",
        "gopher://hook.example/",
        "https://user:secret@hook.example/",
        "https://",
        "//hook.example",
        "",
    ],
)
def test_webhook_ssrf_by_scheme_or_login_is_refused_at_start(url: str) -> None:
    with pytest.raises(SettingsError, match=r"webhook\.url"):
        WebhookSettings(url, "secret")


class Receiver:
    """An HTTPS server of ours that notes what came and answers as it is told."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hook.example")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("hook.example")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.ca_file = folder / "cert.pem"
        self.ca_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        key_file = folder / "key.pem"
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status, self.location = 204, ""
        self.came = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.status)
                if receiver.location:
                    self.send_header("location", receiver.location)
                self.end_headers()
                receiver.came.set()

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, key_file)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


def hook(receiver: Receiver, *networks: str, host: str = "hook.example") -> WebhookSettings:
    return WebhookSettings(
        f"https://{host}:{receiver.port}/in?x=1", "secret", networks, ca_file=str(receiver.ca_file)
    )


def test_webhook_ssrf_by_rebinding_connects_only_to_the_judged_address(receiver: Receiver) -> None:
    """The name answers once with an allowed address and afterwards with another: it is asked once."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    assert post(hook(receiver, "127.0.0.0/8"), SECRET, b"{}", "e1", rebinding) == 204
    assert (len(asked), len(receiver.got)) == (1, 1)
    assert receiver.got[0][0]["host"] == f"hook.example:{receiver.port}"
    assert isinstance(post(hook(receiver, "127.0.0.0/8"), SECRET, b"{}", "e2", rebinding), Rejected)
    assert len(receiver.got) == 1


def test_webhook_ssrf_by_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.location = 307, f"https://hook.example:{receiver.port}/metadata"
    assert post(hook(receiver, "127.0.0.0/8"), SECRET, b"{}", "e1", lambda _h, _p: ["127.0.0.1"]) == 307
    assert len(receiver.got) == 1


def test_webhook_to_another_certificate_is_refused(receiver: Receiver) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        post(
            hook(receiver, "127.0.0.0/8", host="evil.example"),
            SECRET,
            b"{}",
            "e1",
            lambda _h, _p: ["127.0.0.1"],
        )
    assert receiver.got == []


def test_webhook_is_a_signed_cloud_event(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    given = hook(receiver, "127.0.0.0/8")
    settings = WebhookSettings(given.url, str(tmp_path / "secret"), ("127.0.0.0/8",), given.ca_file)
    hooks = Webhooks((settings,), lambda _h, _p: ["127.0.0.1"])
    hooks.offer(Entry(1, "plant-1", "login", "budi", {}))
    hooks.offer(ENTRY)
    assert receiver.came.wait(10)
    hooks.close()
    ((headers, body),) = receiver.got
    found = json.loads(body)
    assert (found["specversion"], found["type"], found["subject"]) == (
        "1.0",
        "id.mitra.control.receipt",
        "fan-1",
    )
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert found["id"] == headers["webhook-id"]


def test_webhook_that_is_refused_is_given_up_and_counted(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    asked: list[str] = []

    def names(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.1"]

    hooks = Webhooks((WebhookSettings("https://hook.example/", str(tmp_path / "secret")),), names)
    hooks._deliver(*hooks._hooks[0], cloud_event(ENTRY, "e"), "e")
    assert (hooks.failed, hooks.sent, len(asked)) == (1, 0, 1)
    assert TRIES > 1
    hooks.close()
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(SettingsError, match="24 bytes"):
        Webhooks((WebhookSettings("https://hook.example/", str(tmp_path / "secret")),))
