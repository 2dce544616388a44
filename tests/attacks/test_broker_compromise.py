"""Attack: whoever holds the broker changes what passes through it."""

from __future__ import annotations

import json
import random

from edge.actuator.judge import Refused, judge
from ingest.contract.approval.topics import TO_EDGE, Leaf, control_topic
from tests.approval_rig import EDGE, SITE, WholePlant


def test_broker_compromise_every_changed_byte_of_an_envelope_stops_nothing(plant: WholePlant) -> None:
    """Every byte of an honest envelope is changed in turn; its form is canonical, so each change counts."""
    plant.book.close()
    plant.book_path = ":memory:"
    plant.start()
    data = plant.envelope("fan-1", "budi")
    dice = random.Random(3)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << dice.randrange(8)
        receipt = plant.send(bytes(changed))
        assert receipt.result == "refused"
        assert receipt.code
    assert plant.all_run()
    assert plant.send(data).result == "confirmed"


def test_broker_compromise_fields_added_removed_or_moved_stop_nothing(plant: WholePlant) -> None:
    data = plant.envelope("fan-1", "budi")
    found = json.loads(data)
    approval = found["approvals"][0]
    forged = [
        {**found, "v": 2},
        {**found, "force": True},
        {**found, "approvals": []},
        {**found, "approvals": [approval] * 9},
        {**found, "approvals": [{**approval, "uv": True}]},
        {**found, "approvals": [approval | {"signature": approval["authenticatorData"]}]},
        {**found, "approvals": approval},
        {"v": 1, "proposal": found["proposal"]},
        [found],
        None,
    ]
    for one in forged:
        assert plant.send(json.dumps(one).encode()).result == "refused"
    assert plant.all_run()


def test_broker_compromise_forged_tickets_and_receipts_change_nothing(plant: WholePlant) -> None:
    plant.request("fan-1")
    (row,) = plant.service.desks[SITE].listing(is_open=True)
    for leaf in (Leaf.TICKET, Leaf.RECEIPT):
        for _, data in [one for one in plant.said if one[0] is Leaf.TICKET]:
            other_end = b'A"}' if not data.endswith(b'A"}') else b'Q"}'
            wrong = plant.service.on_message(control_topic(SITE, EDGE, leaf), data[:-3] + other_end)
            assert wrong is not None
    # A ticket is signed under another domain: it is no receipt.
    ticket = next(data for leaf, data in plant.said if leaf is Leaf.TICKET)
    assert plant.service.on_message(control_topic(SITE, EDGE, Leaf.RECEIPT), ticket) is not None
    assert plant.state(row.row.id) == "awaiting"


def test_broker_compromise_a_bare_command_stops_nothing(plant: WholePlant) -> None:
    """No topic of Sparkplug reaches the actuator, and a command's bytes are no envelope."""
    assert all(control_topic(SITE, EDGE, leaf).startswith(f"mitra/{SITE}/control/") for leaf in TO_EDGE)
    for data in (b"", b"\x08\x01", b'{"action":"stop","machine":"fan-1"}', b"stop"):
        assert plant.send(data).result == "refused"
    assert plant.all_run()


def test_broker_compromise_the_verdict_is_total(plant: WholePlant) -> None:
    """Whatever the bytes, the answer is a verdict and never an exception."""
    dice = random.Random(5)
    actuator = plant.actuator
    known, now = plant.known_and_now()
    for _ in range(2_000):
        data = dice.randbytes(dice.randrange(200))
        assert isinstance(judge(data, actuator.here, known, now), Refused)
