"""The agent over TLS with certificates on both sides, against a real Mosquitto."""

from __future__ import annotations

import datetime
import getpass
import ipaddress
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.waiting import until

pytestmark = pytest.mark.full
NOW = datetime.datetime.now(datetime.UTC)


class Authority:
    """A plant's own certificate authority."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = self._write(f"{name}.pem", self._signed(self.name, self.key, is_authority=True))

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool = False
    ) -> x509.Certificate:
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(days=1))
            .not_valid_after(NOW + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(here, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self.folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of a server or a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        key_file = self.folder / f"{name}.key"
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return self._write(f"{name}.crt", self._signed(subject, key)), key_file


def test_certificates_on_both_sides(tmp_path: Path, broker: Any, make_host: Any, make_agent: Any) -> None:
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    plant, stranger = Authority(tmp_path, "plant"), Authority(tmp_path, "stranger")
    server, server_key = plant.issue("server")
    gateway, gateway_key = plant.issue("edge-gw-1")
    fake, fake_key = stranger.issue("fake")
    secure, plain = broker.free_port(), broker.free_port()
    config = tmp_path / "tls.conf"
    config.write_text(
        f"per_listener_settings true\nuser {getpass.getuser()}\n"
        f"listener {plain} 127.0.0.1\nallow_anonymous true\n"
        f"listener {secure} 127.0.0.1\nallow_anonymous true\ncafile {plant.file}\ncertfile {server}\n"
        f"keyfile {server_key}\nrequire_certificate true\nuse_identity_as_username true\n"
    )
    with (tmp_path / "tls.log").open("wb") as log:
        process = subprocess.Popen(["mosquitto", "-c", str(config)], stdout=log, stderr=log)
    try:
        until(lambda: broker.answers_at(plain) and broker.answers_at(secure))
        host = make_host(plain)
        url = f"mqtts://127.0.0.1:{secure}"
        agent = make_agent(plain, broker=url, ca=str(plant.file), cert=str(fake), key=str(fake_key))
        agent.start()
        until(lambda: "broker_away" in agent.log())
        agent.kill()
        assert host.made() == []
        agent = make_agent(plain, broker=url, ca=str(plant.file), cert=str(gateway), key=str(gateway_key))
        agent.start()
        until(lambda: len(host.made()) > 20)
        assert agent.stop() == 0
    finally:
        process.kill()
        process.wait()
