"""Topics of an approved stop. Ids are checked: no wildcard, `$SYS` or foreign level is built or parsed."""

from __future__ import annotations

from enum import StrEnum

from ingest.contract.approval.codes import Code
from ingest.contract.ids import check_id, is_id
from ingest.contract.rejected import Rejected

ROOT = "mitra"


class Leaf(StrEnum):
    """What is said between control and one edge."""

    TICKET_WANTED = "ticket-request"
    TICKET = "ticket"
    ENVELOPE = "envelope"
    RECEIPT = "receipt"
    RECEIPTS_WANTED = "receipt-request"
    ROSTER = "roster"


FROM_EDGE = (Leaf.TICKET, Leaf.RECEIPT)
TO_EDGE = (Leaf.TICKET_WANTED, Leaf.ENVELOPE, Leaf.RECEIPTS_WANTED, Leaf.ROSTER)


def request_topic(site: str) -> str:
    """Where analytics publishes requests: the only topic towards control that it may use.

    >>> request_topic("plant-1")
    'mitra/plant-1/requests'
    """
    return f"{ROOT}/{check_id(site, 'site')}/requests"


def control_topic(site: str, edge: str, leaf: Leaf) -> str:
    """Topic between control and one edge.

    >>> control_topic("plant-1", "gw-1", Leaf.TICKET)
    'mitra/plant-1/control/gw-1/ticket'
    """
    return f"{ROOT}/{check_id(site, 'site')}/control/{check_id(edge, 'edge')}/{leaf}"


def parse_request_topic(topic: str) -> str | Rejected:
    """The site of a request topic.

    >>> parse_request_topic("mitra/plant-1/requests"), parse_request_topic("mitra/+/requests").reason
    ('plant-1', <Code.TOPIC: 'foreign_topic'>)
    """
    parts = topic.split("/")
    if len(parts) != 3 or parts[0] != ROOT or parts[2] != "requests" or not is_id(parts[1]):
        return Rejected(Code.TOPIC, topic[:100])
    return parts[1]


def parse_control_topic(topic: str) -> tuple[str, str, Leaf] | Rejected:
    """Site, edge and leaf of a control topic.

    >>> parse_control_topic("mitra/plant-1/control/gw-1/receipt")
    ('plant-1', 'gw-1', <Leaf.RECEIPT: 'receipt'>)
    """
    parts = topic.split("/")
    leaves = {leaf.value: leaf for leaf in Leaf}
    if len(parts) != 5 or parts[0] != ROOT or parts[2] != "control" or parts[4] not in leaves:
        return Rejected(Code.TOPIC, topic[:100])
    if not (is_id(parts[1]) and is_id(parts[3])):
        return Rejected(Code.TOPIC, topic[:100])
    return parts[1], parts[3], leaves[parts[4]]
