"""The actuator's MQTT client: this edge's topics into a bounded queue, answers out. It decides nothing."""

from __future__ import annotations

import logging
import queue
import ssl
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.log import say
from ingest.contract.approval.settings import BrokerSettings
from ingest.contract.approval.topics import TO_EDGE, Leaf, control_topic, parse_control_topic
from ingest.contract.approval.trust import MAX_BUNDLE_BYTES
from ingest.contract.rejected import Rejected

MAX_QUEUE = 1_000


class Link:
    """Connects, reconnects and subscribes. Messages beyond the queue's size are dropped and counted."""

    def __init__(self, broker: BrokerSettings, site: str, edge: str) -> None:
        """Does not connect yet."""
        self._site, self._edge, self._broker = site, edge, broker
        self.inbox: queue.Queue[tuple[Leaf, bytes]] = queue.Queue(MAX_QUEUE)
        self.dropped = 0
        self._is_away_said = False
        version = MQTTProtocolVersion.MQTTv5 if broker.protocol == "5" else MQTTProtocolVersion.MQTTv311
        client_id = broker.client_id or f"actuator-{site}-{edge}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=version)
        if broker.username:
            self._client.username_pw_set(
                broker.username,
                Path(broker.password_file).read_text().strip() if broker.password_file else broker.password,
            )
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

    def say(self, leaf: Leaf, data: bytes) -> None:
        """Publish to control, at least once; receipts are kept and can be asked for again."""
        self._client.publish(control_topic(self._site, self._edge, leaf), data, qos=1)

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            say("broker_refused_login", logging.ERROR, reason=str(reason))
            return
        client.subscribe([(control_topic(self._site, self._edge, leaf), 1) for leaf in TO_EDGE])
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
            meaning="no approval arrives; machines are stopped at their own stop only",
            do="check that the broker runs and that address and network are right; it is tried again",
        )

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        topic = parse_control_topic(message.topic)
        if isinstance(topic, Rejected) or topic[:2] != (self._site, self._edge):
            self.dropped += 1
            return
        if len(message.payload) > MAX_BUNDLE_BYTES:
            self.dropped += 1
            return
        try:
            self.inbox.put_nowait((topic[2], bytes(message.payload)))
        except queue.Full:
            self.dropped += 1
