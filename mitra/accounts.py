"""Broker accounts: who may publish and hear what. One table serves the embedded broker and Mosquitto."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ingest.contract.approval.topics import FROM_EDGE, TO_EDGE, control_topic, request_topic
from ingest.contract.topics import NAMESPACE, Kind

FROM_NODE = (Kind.NBIRTH, Kind.NDEATH, Kind.NDATA)
FROM_DEVICE = (Kind.DBIRTH, Kind.DDEATH, Kind.DDATA)


@dataclass(frozen=True, slots=True)
class Account:
    """A broker login with the topic filters (MQTT wildcards) that it may publish to and subscribe to."""

    user: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def accounts(site: str, gateways: Iterable[str], host_id: str = "mitra") -> tuple[Account, ...]:
    """Every account of a site. Analytics may only request; a machine is reached by its actuator alone."""
    state = f"{NAMESPACE}/STATE/{host_id}"
    listed = tuple(gateways)
    found = [
        Account(
            "ingest",
            publish=(f"{NAMESPACE}/{site}/{Kind.NCMD}/+", state, request_topic(site)),
            subscribe=(f"{NAMESPACE}/{site}/#", f"{NAMESPACE}/STATE/#"),
        ),
        Account(
            "control",
            publish=tuple(control_topic(site, gateway, leaf) for gateway in listed for leaf in TO_EDGE),
            subscribe=(
                request_topic(site),
                *(f"mitra/{site}/control/+/{leaf}" for leaf in FROM_EDGE),
            ),
        ),
    ]
    for gateway in listed:
        found.append(
            Account(
                f"edge-{gateway}",
                publish=(
                    *(f"{NAMESPACE}/{site}/{kind}/{gateway}" for kind in FROM_NODE),
                    *(f"{NAMESPACE}/{site}/{kind}/{gateway}/+" for kind in FROM_DEVICE),
                ),
                subscribe=(
                    f"{NAMESPACE}/{site}/{Kind.NCMD}/{gateway}",
                    f"{NAMESPACE}/{site}/{Kind.DCMD}/{gateway}/+",
                    f"{NAMESPACE}/STATE/#",
                ),
            )
        )
        found.append(
            Account(
                f"actuator-{gateway}",
                publish=tuple(control_topic(site, gateway, leaf) for leaf in FROM_EDGE),
                subscribe=tuple(control_topic(site, gateway, leaf) for leaf in TO_EDGE),
            )
        )
    return tuple(found)


def passwords(path: Path, users: Iterable[str]) -> dict[str, str]:
    """Random passwords by user, made at first start and kept in path (mode 0600); new users are added."""
    kept: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    missing = [user for user in users if user not in kept]
    if missing:
        kept |= {user: secrets.token_urlsafe(24) for user in missing}
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        fresh.replace(path)
    return kept
