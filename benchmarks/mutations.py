"""A million hostile envelopes against the real actuator: does anything stop, does anything break.

    python -m benchmarks.mutations --count 1000000 --json

Every mutation starts from honest, fully approved envelopes of all criticalities and changes bytes, JSON
structure, fields of the proposal, parts of the assertions, signers and their number. Each is handed to an
`Actuator` with a real roster, an SQLite book (in memory) and signed receipts; each must come back as a
refusal with a code and a receipt.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import multiprocessing
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from control.technician import Technician
from edge.actuator.judge import Stop, judge
from ingest.contract.approval.keys import sign
from ingest.contract.approval.messages import Approval, Envelope, Proposal
from ingest.contract.approval.strict import b64
from ingest.contract.approval.topics import Leaf
from tests.approval_processes import Stack
from tests.approval_rig import MACHINES, ORIGIN, Plant
from tests.waiting import until

SIGNERS = {"low": ("budi",), "normal": ("budi",), "high": ("budi", "sari"), "critical": ("budi", "dewi")}
MAX_COUNT = 10_000_000
RENEW = 5_000
ANYTHING = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError),
    *(ValueError, sqlite3.Error),
)
"""What broken code raises: here it is counted instead of ending the run."""
Mutation = Callable[[random.Random, "Bench", str, Envelope], bytes]


class Bench:
    """One plant and its honest envelopes, renewed now and then so that tickets stay young."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.plant = Plant(folder)
        self.plant.book.close()
        self.plant.book_path = ":memory:"
        self.plant.start()
        self.honest: dict[str, Envelope] = {}
        self.renew()

    def renew(self) -> None:
        """Fresh tickets and approvals for every machine."""
        self.plant.clock.sleep(700)
        self.plant.said.clear()
        for machine, level in MACHINES.items():
            proposal = self.plant.proposal(machine)
            self.honest[machine] = Envelope(proposal.to_bytes(), self.plant.sign(proposal, *SIGNERS[level]))

    def proposal(self, machine: str) -> Proposal:
        found = Proposal.parse_canonical(self.honest[machine].proposal)
        assert isinstance(found, Proposal)
        return found


def flip_bits(dice: random.Random, _bench: Bench, _machine: str, envelope: Envelope) -> bytes:
    data = bytearray(envelope.to_bytes())
    for _ in range(dice.choice((1, 1, 1, 2, 8))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(data)


def cut_or_grow(dice: random.Random, _bench: Bench, _machine: str, envelope: Envelope) -> bytes:
    data = envelope.to_bytes()
    at = dice.randrange(len(data))
    return dice.choice(
        (data[:at], data[at:], data + dice.randbytes(8), data[:at] + dice.randbytes(4) + data[at:])
    )


def change_json(dice: random.Random, _bench: Bench, _machine: str, envelope: Envelope) -> bytes:
    found: dict[str, Any] = json.loads(envelope.to_bytes())
    junk: Any = dice.choice((None, True, -1, 1e308, "", "x" * 300, [], {}, [[]], {"v": 1}, "\u202e", 2**70))
    where = dice.choice(("v", "proposal", "approvals", "extra", "approval"))
    if where == "approval":
        found["approvals"][0][dice.choice((*Approval.SHAPE, "extra"))] = junk
    else:
        found[where] = junk
    return json.dumps(found).encode()


def change_proposal(dice: random.Random, bench: Bench, machine: str, envelope: Envelope) -> bytes:
    """Another value in one field, canonical again, with the honest approvals."""
    found = bench.proposal(machine).to_object()
    field = dice.choice(tuple(found))
    value = found[field]
    if isinstance(value, int):
        found[field] = value + dice.choice((-1, 1, 100_000, -100_000))
    elif field == "machine":
        found[field] = dice.choice([one for one in MACHINES if one != machine])
    else:
        found[field] = dice.choice((value[::-1] + "0", value + "0", "", value[:-1], dice.randbytes(16).hex()))
    body = json.dumps(found, separators=(",", ":"), sort_keys=True).encode()
    if body == envelope.proposal:
        body += b" "
    return rewrap(body, envelope.approvals)


def sign_again(dice: random.Random, bench: Bench, machine: str, _envelope: Envelope) -> bytes:
    """Validly signed by too few, by a viewer, by one person often, or for a proposal the edge must refuse."""
    proposal = bench.proposal(machine)
    needed = proposal.approvals_needed
    change = dice.randrange(5)
    people: tuple[str, ...] = SIGNERS[MACHINES[machine]]
    if change == 0:
        people = ("budi",) * dice.randrange(2, 5) if needed > 1 else ("tamu",)
    elif change == 1:
        people = (*people, "tamu")
    elif change == 2:
        proposal = replace(proposal, machine=dice.choice([one for one in MACHINES if one != machine]))
    elif change == 3:
        proposal = replace(
            proposal, expires=proposal.issued - dice.randrange(1, 1_000) if dice.random() < 0.5 else 2**40
        )
    else:
        wrong = f"{dice.randrange(10**6):06d}"
        proposal = replace(
            proposal, edge_nonce=dice.randbytes(16).hex(), presence=wrong if proposal.presence else ""
        )
    return rewrap(proposal.to_bytes(), bench.plant.sign(proposal, *people))


def twist_assertion(dice: random.Random, bench: Bench, machine: str, envelope: Envelope) -> bytes:
    """A correctly signed assertion with a wrong origin, type, flags, rpId, challenge or credential."""
    proposal = bench.proposal(machine)
    key = bench.plant.keys[SIGNERS[MACHINES[machine]][0]]
    client = {
        "type": "webauthn.get",
        "challenge": b64(proposal.challenge()),
        "origin": ORIGIN,
        "crossOrigin": False,
    }
    flags, rp_id, credential = 5, "localhost", key.credential
    change = dice.randrange(6)
    if change == 0:
        client["origin"] = dice.choice(("https://evil.example", ORIGIN + "/", "null"))
    elif change == 1:
        client["type"] = dice.choice(("webauthn.create", "payment.get", ""))
    elif change == 2:
        flags = dice.choice([one for one in range(256) if one != 5])
    elif change == 3:
        rp_id = dice.choice(("evil.example", "LOCALHOST", ""))
    elif change == 4:
        client["challenge"] = b64(dice.randbytes(32))
    else:
        credential = bench.plant.keys[dice.choice(("sari", "tamu"))].credential
    raw = json.dumps(client).encode()
    data = hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + bytes(4)
    signature = sign(key._private(), data + hashlib.sha256(raw).digest())
    twisted = Approval(credential, b64(raw), b64(data), b64(signature))
    return rewrap(envelope.proposal, (twisted, *envelope.approvals[1:]))


def mix(dice: random.Random, bench: Bench, machine: str, envelope: Envelope) -> bytes:
    """Approvals of one machine on another's proposal, or too few of its own."""
    other = bench.honest[dice.choice([one for one in MACHINES if one != machine])]
    if len(envelope.approvals) > 1 and dice.random() < 0.5:
        return rewrap(envelope.proposal, envelope.approvals[:1] * dice.randrange(1, 4))
    return rewrap(envelope.proposal, other.approvals)


MUTATIONS: tuple[tuple[Mutation, int], ...] = (
    (flip_bits, 30),
    (cut_or_grow, 10),
    (change_json, 15),
    (change_proposal, 20),
    (sign_again, 8),
    (twist_assertion, 12),
    (mix, 5),
)


def rewrap(body: bytes, approvals: tuple[Approval, ...]) -> bytes:
    found = {"v": 1, "proposal": b64(body), "approvals": [one.to_object() for one in approvals]}
    return json.dumps(found).encode()


def same_meaning(data: bytes, envelope: Envelope) -> bool:
    """True when a mutation changed nothing that is signed or decides (it is then not an attack)."""
    found = Envelope.parse(data)
    return isinstance(found, Envelope) and found == envelope


def run(job: tuple[int, int]) -> dict[str, Any]:
    """One process's share."""
    count, seed = job
    refused: Counter[str] = Counter()
    tally = Counter[str]()
    functions, weights = zip(*MUTATIONS, strict=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), seed)
        dice, plant = bench.dice, bench.plant
        machines = tuple(MACHINES)
        for number in range(count):
            if number % RENEW == RENEW - 1:
                plant.actuator.flush()
                tally["receipts"] += sum(leaf is Leaf.RECEIPT for leaf, _ in plant.said)
                bench.renew()
            machine = dice.choice(machines)
            mutate = dice.choices(functions, weights)[0]
            data = mutate(dice, bench, machine, bench.honest[machine])
            if same_meaning(data, bench.honest[machine]):
                tally["unchanged"] += 1
                continue
            tally["tried"] += 1
            before = plant.actuator.refused.total()
            try:
                plant.actuator.on_message(Leaf.ENVELOPE, data)
            except ANYTHING as error:
                tally["uncaught"] += 1
                print(f"uncaught: {error!r}", file=sys.stderr)
                continue
            if plant.actuator.refused.total() != before + 1:
                tally["unauthorised"] += 1
        plant.actuator.tick()
        tally["receipts"] += sum(leaf is Leaf.RECEIPT for leaf, _ in plant.said)
        tally["unauthorised"] += sum(not plant.runs(machine) for machine in MACHINES)
        refused.update(plant.actuator.refused)
    return {"tally": dict(tally), "refused": dict(refused)}


def verification_ms(clock: Callable[[], float], rounds: int = 400) -> dict[str, float]:
    """How long the verdict on an honest two-person envelope of a critical machine takes, by a clock in s."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 1)
        data = bench.honest["kiln-1"].to_bytes()
        known, now = bench.plant.known_and_now()
        spent_ms = []
        for _ in range(rounds):
            began = clock()
            verdict = judge(data, bench.plant.actuator.here, known, now)
            spent_ms.append(1_000 * (clock() - began))
            assert isinstance(verdict, Stop)
    return summary_ms(spent_ms)


def signed_to_verified_ms(rounds: int = 200) -> dict[str, float]:
    """From a person's signature to the edge's receipt, on the disk: sign, envelope, verdict, commit."""
    spent_ms = []
    with tempfile.TemporaryDirectory() as folder:
        plant = Plant(Path(folder))
        for _ in range(rounds):
            proposal = plant.proposal("mill-1")
            began = time.perf_counter()
            approvals = plant.sign(proposal, "budi", "sari")
            plant.actuator.on_message(Leaf.ENVELOPE, Envelope(proposal.to_bytes(), approvals).to_bytes())
            spent_ms.append(1_000 * (time.perf_counter() - began))
            assert any(leaf is Leaf.RECEIPT for leaf, _ in plant.said[-2:])
            plant.actuator.tick()
            plant.clock.sleep(1)
            (plant.switch_dir / "mill-1.json").unlink()
    return summary_ms(spent_ms)


def end_to_end_ms(rounds: int) -> dict[str, float]:
    """From a signature to control's knowing that the edge verified it: HTTP, broker, actuator, back."""
    spent_ms = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder), {"budi": "approver"}) as stack,
        stack.technician("budi") as budi,
    ):
        for number in range(rounds):
            stack.request("fan-1", f"round-{number}")
            (shown,) = until(lambda: [one for one in budi.proposals() if one["state"] == "awaiting"])
            began = time.perf_counter()
            budi.approve(shown["id"])
            while budi.proposal(shown["id"])["state"] in {"awaiting", "approved"}:
                time.sleep(0.002)
            spent_ms.append(1_000 * (time.perf_counter() - began))
            until(partial(is_confirmed, budi, shown["id"]))
            (stack.folder / "switches" / "fan-1.json").unlink()
    return summary_ms(spent_ms)


def is_confirmed(technician: Technician, proposal: str) -> bool:
    """True when control has heard that the machine stands."""
    return bool(technician.proposal(proposal)["state"] == "confirmed")


def summary_ms(spent_ms: list[float]) -> dict[str, float]:
    ordered = sorted(spent_ms)
    return {
        "median": round(statistics.median(ordered), 3),
        "p99": round(ordered[int(0.99 * (len(ordered) - 1))], 3),
        "max": round(ordered[-1], 3),
    }


def main() -> int:
    """Exit codes: 0 nothing stopped and nothing broke, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutations", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=0, help="stops through real processes, timed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if not 1 <= arguments.count <= MAX_COUNT or not 1 <= arguments.processes <= 64:
        parser.error(f"count must be 1..{MAX_COUNT}, processes 1..64")
    logging.disable(logging.WARNING)
    began = time.perf_counter()
    share, rest = divmod(arguments.count, arguments.processes)
    jobs = [(share + (i < rest), arguments.seed * 1_000 + i) for i in range(arguments.processes)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.processes, logging.disable, (logging.WARNING,)) as pool:
        parts = pool.map(run, jobs)
    tally, refused = Counter[str](), Counter[str]()
    for part in parts:
        tally.update(part["tally"])
        refused.update(part["refused"])
    found = {
        "count": arguments.count,
        "tried": tally["tried"],
        "unchanged": tally["unchanged"],
        "unauthorised_actuations": tally["unauthorised"],
        "uncaught_exceptions": tally["uncaught"],
        "refused": refused.total(),
        "refused_with_receipt": tally["receipts"],
        "refusals_by_code": dict(refused.most_common()),
        "seconds": round(time.perf_counter() - began, 1),
        "verification_ms": verification_ms(time.perf_counter),
        "verification_cpu_ms": verification_ms(time.thread_time),
        "signed_to_verified_ms": signed_to_verified_ms(),
    }
    if arguments.rounds:
        found["end_to_end_ms"] = end_to_end_ms(arguments.rounds)
    good = (
        not tally["unauthorised"]
        and not tally["uncaught"]
        and refused.total() == tally["receipts"] == tally["tried"]
    )
    if arguments.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:26} {value}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
