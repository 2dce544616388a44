"""Attack: bytes made to confuse two readers, or to break one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.actuator.judge import Refused, judge
from ingest.contract.approval.messages import (
    Envelope,
    Proposal,
    Receipt,
    Request,
    Signed,
    Ticket,
    TicketWanted,
)
from ingest.contract.approval.roster import parse_roster
from ingest.contract.approval.strict import b64, parse_object
from ingest.contract.approval.trust import Floor, read_bundle, trust
from ingest.contract.rejected import Rejected
from tests.approval_rig import ORIGIN, WholePlant

MESSAGES = (Request, TicketWanted, Ticket, Proposal, Signed, Receipt)
HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{",
    b'{"a":1,"a":2}',
    b'{"v":NaN}',
    b'{"v":Infinity}',
    b'{"v":1e999}',
    b'{"v":' + b"9" * 5_000 + b"}",
    b'{"v":"\\ud800"}',
    b'\xef\xbb\xbf{"v":1}',
    b'{"v":1}\x00',
    b"\xff\xfe",
    b"[" * 4_000,
    b'{"v":' * 1_000,
    b'{"__proto__":{}}',
]


@pytest.mark.parametrize("data", HOSTILE)
def test_malformed_json_is_refused_with_a_code_everywhere(plant: WholePlant, data: bytes) -> None:
    for message in MESSAGES:
        assert isinstance(message.parse(data), Rejected)
    assert isinstance(Envelope.parse(data), Rejected)
    assert isinstance(parse_roster(data), Rejected)
    assert plant.send(data).code
    assert plant.service.on_message("mitra/plant-1/requests", data) is not None
    client = plant.http()
    headers = {"origin": ORIGIN, "content-type": "application/json"}
    assert client.post("/api/v1/login", content=data, headers=headers).status_code in {400, 422}
    assert plant.all_run()


def test_duplicate_keys_are_refused_at_every_level(plant: WholePlant) -> None:
    proposal = plant.proposal("fan-1")
    twice = proposal.to_bytes().replace(b'"machine":"fan-1"', b'"machine":"kiln-1","machine":"fan-1"')
    assert plant.send(Envelope(twice, plant.sign(proposal, "budi")).to_bytes()).code == "duplicate_key"
    whole = Envelope(proposal.to_bytes(), plant.sign(proposal, "budi")).to_bytes()
    assert plant.send(whole.replace(b'"v":1}', b'"v":1,"v":1}')).code == "duplicate_key"
    approval = plant.twisted_approval("budi", proposal, raw=b'{"type":"webauthn.get","type":"webauthn.get"}')
    assert plant.send_approvals(proposal, approval).code == "duplicate_key"
    assert plant.all_run()


def test_a_proposal_in_any_other_form_than_its_canonical_one_is_refused(plant: WholePlant) -> None:
    proposal = plant.proposal("fan-1")
    loose = json.dumps(proposal.to_object()).encode()
    assert plant.send(Envelope(loose, plant.sign(proposal, "budi")).to_bytes()).code == "not_canonical"
    spaced = proposal.to_bytes() + b" "
    assert plant.send(Envelope(spaced, plant.sign(proposal, "budi")).to_bytes()).code == "not_canonical"
    assert plant.all_run()


def test_text_that_looks_like_something_else_is_refused() -> None:
    for name in ("pump\u202e7", "pump\u200b", "pump\n", "pump\x07", "\u2066kiln"):
        assert isinstance(Ticket.parse(_ticket(name)), Rejected)
    assert not isinstance(Ticket.parse(_ticket("Pompa α-7 (jalur 2)")), Rejected)


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_no_bytes_make_a_parser_raise(data: bytes) -> None:
    for message in MESSAGES:
        message.parse(data)
    Envelope.parse(data)
    parse_object(data, 300)
    parse_roster(data)
    read_bundle(data)
    names = ("timestamp.json", "snapshot.json", "targets.json", "roster.json")
    assert isinstance(trust(data, dict.fromkeys(names, data), Floor(), 0), Rejected)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Proposal.SHAPE)), JSON), st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_json_in_the_fields_makes_a_parser_raise(found: dict[str, object], whole: bool) -> None:
    data = json.dumps(found).encode("utf-8", "surrogatepass")
    for message in MESSAGES:
        message.parse(data)
    envelope = {"v": 1, "proposal": b64(data) or "e30", "approvals": [found] if whole else found.get("v")}
    Envelope.parse(json.dumps(envelope).encode("utf-8", "surrogatepass"))


def test_the_verdict_on_hostile_bytes_is_a_refusal(plant: WholePlant) -> None:
    known, now = plant.known_and_now()
    for data in HOSTILE:
        assert isinstance(judge(data, plant.actuator.here, known, now), Refused)


def _ticket(label: str) -> bytes:
    found = {
        "v": 1,
        "site": "plant-1",
        "edge": "gw-1",
        "machine": "pump-7",
        "label": label,
        "state": "running",
        "boot_id": "0" * 32,
        "nonce": "0" * 32,
        "ttl_s": 60,
        "policy_version": 1,
    }
    return json.dumps(found).encode()
