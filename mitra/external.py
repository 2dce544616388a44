"""A broker that is not ours: whether it is there and wants us, before anything else is started."""

from __future__ import annotations

import threading
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from ingest.contract.explain import of_system
from ingest.mqtt import BrokerError, broker_of
from mitra.exits import PersonError

ANSWER_S = 10.0


def check_url(url: str) -> None:
    """Raises PersonError for what is no broker's URL."""
    try:
        broker_of(url)
    except (BrokerError, ValueError) as error:
        raise PersonError("setting", f"--broker: {error}.") from error


def check_broker(url: str, shown: str, ca: Path | None = None) -> None:
    """Connect once and go. shown: the URL without its password. Raises PersonError."""
    check_url(url)
    broker = broker_of(url)
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    if broker.user:
        client.username_pw_set(broker.user, broker.password)
    answered = threading.Event()
    answers: list[str] = []

    def connected(
        _client: paho.Client, _data: object, _flags: object, code: ReasonCode, _more: object
    ) -> None:
        answers.append(str(code) if code.is_failure else "")
        answered.set()

    client.on_connect = connected
    try:
        if broker.tls:
            client.tls_set(ca_certs=str(ca) if ca is not None else None)
        client.connect(broker.host, broker.port, keepalive=20)
    except (OSError, ValueError) as error:
        raise PersonError(
            "missing",
            f"The broker {shown} cannot be reached ({of_system(error)}), so nothing would be received. "
            "Start it, or correct --broker; gateways keep what they measure meanwhile.",
        ) from error
    client.loop_start()
    answered.wait(ANSWER_S)
    client.disconnect()
    client.loop_stop()
    if not answers or answers[0]:
        why = answers[0] if answers else f"no answer within {ANSWER_S:g} s"
        raise PersonError(
            "missing",
            f"The broker {shown} does not let `{broker.user}` in ({why}), so nothing would be received. "
            "Make the account there (docs/operations.md), or put the login into --broker.",
        )
