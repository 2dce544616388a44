"""Topics of Sparkplug B 3.0. Group = site, edge node = gateway, device = machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ingest.contract.ids import check_id, is_id
from ingest.contract.rejected import Rejected

NAMESPACE = "spBv1.0"
_NODE_PARTS, _DEVICE_PARTS = 4, 5


class Kind(StrEnum):
    """Message types of the specification."""

    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    NDATA = "NDATA"
    DDATA = "DDATA"
    NCMD = "NCMD"
    DCMD = "DCMD"


DEVICE_KINDS = frozenset({Kind.DBIRTH, Kind.DDEATH, Kind.DDATA, Kind.DCMD})


@dataclass(frozen=True, slots=True)
class Topic:
    """A parsed topic; device is empty for messages of the node itself."""

    site: str
    kind: Kind
    node: str
    device: str = ""

    def __str__(self) -> str:
        base = f"{NAMESPACE}/{self.site}/{self.kind}/{self.node}"
        return f"{base}/{self.device}" if self.device else base


def node_topic(site: str, kind: Kind, node: str) -> str:
    """Topic of an edge node's own message.

    >>> node_topic("plant-1", Kind.NBIRTH, "gw-1")
    'spBv1.0/plant-1/NBIRTH/gw-1'
    """
    return str(Topic(check_id(site, "site"), kind, check_id(node, "edge node")))


def device_topic(site: str, kind: Kind, node: str, device: str) -> str:
    """Topic of a machine's message.

    >>> device_topic("plant-1", Kind.DDATA, "gw-1", "pump-7")
    'spBv1.0/plant-1/DDATA/gw-1/pump-7'
    """
    return str(Topic(check_id(site, "site"), kind, check_id(node, "edge node"), check_id(device, "machine")))


def state_topic(host_id: str) -> str:
    """Topic of a host application's retained state.

    >>> state_topic("mitra")
    'spBv1.0/STATE/mitra'
    """
    return f"{NAMESPACE}/STATE/{check_id(host_id, 'host id')}"


def parse_topic(text: str) -> Topic | Rejected:
    """The Topic in text, or why it is none. Ids are checked, so no wildcard or foreign level passes.

    >>> parse_topic("spBv1.0/plant-1/DDATA/gw-1/pump-7").device
    'pump-7'
    >>> parse_topic("spBv1.0/plant-1/DDATA/gw-1/#").reason
    'topic_id'
    """
    parts = text.split("/")
    if len(parts) not in (_NODE_PARTS, _DEVICE_PARTS) or parts[0] != NAMESPACE:
        return Rejected("topic_form", text[:200])
    if parts[2] not in Kind.__members__:
        return Rejected("topic_kind", parts[2][:64])
    kind = Kind[parts[2]]
    if (kind in DEVICE_KINDS) != (len(parts) == _DEVICE_PARTS):
        return Rejected("topic_form", text[:200])
    if not all(is_id(part) for part in (parts[1], *parts[3:])):
        return Rejected("topic_id", text[:200])
    return Topic(parts[1], kind, parts[3], parts[4] if len(parts) == _DEVICE_PARTS else "")
