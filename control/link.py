"""Control's MQTT client: requests, tickets and receipts into a bounded queue; its own messages out."""

from __future__ import annotations

import logging
import queue
import ssl
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from control.log import say
from ingest.contract.approval.messages import MAX_REQUEST_BYTES
from ingest.contract.approval.settings import BrokerSettings
from ingest.contract.approval.topics import Leaf, control_topic, request_topic

MAX_QUEUE = 2_000


class Link:
    """Connects, reconnects and subscribes to exactly the topics given. Overflow is dropped and counted.

    came: set when the link is there (again); whoever acts on it clears it first. Not a message in the inbox:
    that may be full.
    """

    def __init__(self, broker: BrokerSettings, topics: list[tuple[str, str, str]]) -> None:
        """topics: (site, edge, leaf), or (site, "", "requests")."""
        self._broker = broker
        self._topics = [
            control_topic(site, edge, Leaf(leaf)) if edge else request_topic(site)
            for site, edge, leaf in topics
        ]
        self.inbox: queue.Queue[tuple[str, bytes]] = queue.Queue(MAX_QUEUE)
        self.came = threading.Event()
        self.dropped = 0
        self._is_away_said = False
        version = MQTTProtocolVersion.MQTTv5 if broker.protocol == "5" else MQTTProtocolVersion.MQTTv311
        client_id = broker.client_id or "control"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=version)
        if broker.username:
            secret = broker.password
            if broker.password_file:
                secret = Path(broker.password_file).read_text(encoding="utf-8").strip()
            self._client.username_pw_set(broker.username, secret)
        if broker.tls_ca:
            self._client.tls_set(
                broker.tls_ca, broker.tls_cert or None, broker.tls_key or None, cert_reqs=ssl.CERT_REQUIRED
            )
        self._client.reconnect_delay_set(1, 30)
        self._client.max_queued_messages_set(MAX_QUEUE)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Connect in the background and keep trying."""
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=30)
        self._client.loop_start()

    def say(self, site: str, edge: str, leaf: Leaf, data: bytes) -> None:
        """Publish to one edge, at least once; the actuator takes an envelope only once."""
        self._client.publish(control_topic(site, edge, leaf), data, qos=1)

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            say("broker_refused_login", logging.ERROR, reason=str(reason))
            return
        client.subscribe([(topic, 1) for topic in self._topics])
        self.came.set()
        self._is_away_said = False
        say("connected", broker=f"{self._broker.host}:{self._broker.port}")

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _number: int, reasons: list[Any], _props: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            say("subscription_refused", logging.ERROR, reasons=sorted({str(reason) for reason in reasons}))
        else:
            say("subscribed", topics=len(reasons))

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        if self._is_away_said:
            return
        self._is_away_said = True
        say(
            "broker_away",
            logging.WARNING,
            broker=f"{self._broker.host}:{self._broker.port}",
            meaning="nobody can be asked about a stop; machines are stopped at their own stop only",
            do="check that the broker runs and that address and network are right; it is tried again",
        )

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if len(message.payload) > MAX_REQUEST_BYTES:
            self.dropped += 1
            return
        try:
            self.inbox.put_nowait((message.topic, bytes(message.payload)))
        except queue.Full:
            self.dropped += 1
