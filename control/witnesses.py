"""Sends checkpoints to the witnesses and keeps their cosignatures. It never delays a stop."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading

import httpx

from control.audit import COSIGN_DOMAIN, Audit, Checkpoint
from control.log import say
from ingest.contract.approval.keys import PublicKey, is_signature
from ingest.contract.approval.strict import b64, unb64
from ingest.contract.rejected import Rejected

TIMEOUT_S = 5.0


class Witnesses:
    """A thread that offers the newest checkpoint to every witness."""

    def __init__(self, urls: tuple[str, ...], audit: Audit) -> None:
        """urls: base addresses of the witnesses; none is allowed (then the log is only signed)."""
        self._urls, self._audit = urls, audit
        self._offers: queue.Queue[Checkpoint | None] = queue.Queue(8)
        self.refused = 0
        self._cosigned: dict[str, int] = {}
        """Size of the newest checkpoint that each has cosigned."""
        self._thread = threading.Thread(target=self._run, name="witnesses", daemon=True)
        self._thread.start()

    def offer(self, checkpoint: Checkpoint) -> None:
        """Queue a checkpoint that one of them lacks; when witnesses are slow, later ones cover it."""
        if all(self._cosigned.get(url, -1) >= checkpoint.size for url in self._urls):
            return
        with contextlib.suppress(queue.Full):
            self._offers.put_nowait(checkpoint)

    def close(self) -> None:
        """End the thread."""
        self._offers.put(None)
        self._thread.join(timeout=2 * TIMEOUT_S)

    def _run(self) -> None:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            while (checkpoint := self._offers.get()) is not None:
                for url in self._urls:
                    if self._cosigned.get(url, -1) >= checkpoint.size:
                        continue
                    try:
                        self.cosign(client, url, checkpoint)
                        self._cosigned[url] = (
                            checkpoint.size
                        )  # only now: a witness that was away is asked again
                    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                        self.refused += 1
                        say("witness_failed", logging.WARNING, url=url, error=str(error))

    def cosign(self, client: httpx.Client, url: str, checkpoint: Checkpoint) -> None:
        """Ask one witness. Raises ValueError when its answer is not a valid cosignature."""
        known = client.get(f"{url}/v1/log/{self._audit.log_id}").raise_for_status().json()
        key = PublicKey.parse(json.dumps(known["witness"]).encode())
        if isinstance(key, Rejected):
            raise TypeError(f"{url} names no key")
        proof = self._audit.proof(int(known["size"]), checkpoint.size)
        answer = client.post(
            f"{url}/v1/cosign",
            json={
                "checkpoint": b64(checkpoint.body),
                "signature": checkpoint.signature,
                "proof": [one.hex() for one in proof],
            },
        )
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"refused: {answer.text[:200]}")
        signature = str(answer.json()["signature"])
        signed = COSIGN_DOMAIN + b"\0" + checkpoint.body
        if not is_signature(key.alg, unb64(key.public_key) or b"", unb64(signature) or b"", signed):
            raise ValueError("its signature does not verify")
        self._audit.cosigned(checkpoint.size, key, signature)
