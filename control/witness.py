"""A witness: cosigns a log's checkpoint only when it extends what it cosigned before.

Run `python -m control.witness` at the plant, at the partner and at the auditor: a log that shows different
histories to different people cannot get two of the three to sign both.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import threading
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from control.audit import CHECKPOINT_DOMAIN, COSIGN_DOMAIN
from control.config import load_public_key
from control.keyfile import load_or_make_key
from control.merkle import EMPTY_ROOT
from control.merkle_proof import is_consistent
from control.serving import serve
from ingest.contract.approval.keys import PrivateKey, PublicKey, is_signature, public_of, sign
from ingest.contract.approval.settings import build
from ingest.contract.approval.strict import (
    b64,
    fits,
    is_int,
    is_name,
    is_one_of,
    is_sha256,
    parse_object,
    unb64,
)
from ingest.contract.rejected import Rejected

EXIT_SETTING, EXIT_PORT, EXIT_DISK = 3, 4, 5

MAX_PROOF = 128
_SHAPE = {"v": is_one_of(1), "log": is_name, "size": is_int(0), "root": is_sha256, "at": is_int(0)}


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """name: this witness; log_key_file: the log's public key; state_dir: its own key and memory."""

    name: str
    host: str
    port: int
    state_dir: str
    log_key_file: str


class Offer(BaseModel):
    """A checkpoint, its log's signature, and the proof that it extends the last one cosigned here."""

    model_config = ConfigDict(extra="forbid", strict=True)
    checkpoint: str = Field(max_length=2_000)
    signature: str = Field(max_length=200)
    proof: list[str] = Field(max_length=MAX_PROOF)


class Witness:
    """Remembers, on disk, the newest checkpoint that it signed of one log."""

    def __init__(self, name: str, log_key: PublicKey, key: PrivateKey, path: Path | str) -> None:
        """path: the database file."""
        self.public = public_of(name, key)
        self._key, self._log_key = key, log_key
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS seen (log TEXT PRIMARY KEY, size INTEGER, root TEXT) STRICT"
        )

    def last(self) -> tuple[int, str]:
        """Size and root (hex) of the newest checkpoint signed here."""
        row = self._db.execute("SELECT size, root FROM seen WHERE log = ?", (self._log_key.owner,)).fetchone()
        return (0, EMPTY_ROOT.hex()) if row is None else (int(row[0]), str(row[1]))

    def cosign(self, checkpoint: str, signature: str, proof: list[str]) -> str | Rejected:
        """A cosignature, committed before it is given; or why this history is not believed."""
        body = unb64(checkpoint) or b""
        found = parse_object(body, 1_500)
        if isinstance(found, Rejected):
            return found
        wrong = fits(found, _SHAPE)
        if wrong is not None:
            return wrong
        log_key = unb64(self._log_key.public_key) or b""
        given = unb64(signature) or b""
        if found["log"] != self._log_key.owner or not is_signature(
            self._log_key.alg, log_key, given, CHECKPOINT_DOMAIN + b"\0" + body
        ):
            return Rejected("bad_signature")
        if not all(is_sha256(one) for one in proof):
            return Rejected("bad_field", "proof")
        size, root = int(str(found["size"])), str(found["root"])
        with self._lock:
            old_size, old_root = self.last()
            steps = [bytes.fromhex(one) for one in proof]
            if not is_consistent(old_size, bytes.fromhex(old_root), size, bytes.fromhex(root), steps):
                return Rejected("fork", f"does not extend the {old_size} entries signed before")
            self._db.execute(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", (self._log_key.owner, size, root)
            )
        return b64(sign(self._key, COSIGN_DOMAIN + b"\0" + body))


def make_app(witness: Witness) -> FastAPI:
    """The witness over HTTP."""
    app = FastAPI(title="Mitra audit witness", version="1", docs_url=None, redoc_url=None)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Alive."""
        return {"status": "ok"}

    @app.get("/v1/log/{log}")
    def last(log: str) -> dict[str, Any]:
        """What was signed last, and by which key."""
        size, root = witness.last()
        return {"log": log, "size": size, "root": root, "witness": witness.public.to_object()}

    @app.post("/v1/cosign")
    def cosign(offer: Offer) -> JSONResponse:
        """Cosign a checkpoint; 409 when it does not extend the last one."""
        given = witness.cosign(offer.checkpoint, offer.signature, offer.proof)
        if isinstance(given, Rejected):
            return JSONResponse({"code": given.reason, "detail": given.detail}, 409)
        return JSONResponse({"signature": given, "key": witness.public.key_id})

    return app


def main() -> int:
    """Parse the arguments and serve. Exit codes: 0 stopped, 3 a setting is wrong, 4 no port, 5 the disk."""
    parser = argparse.ArgumentParser(prog="python -m control.witness", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file")
    arguments = parser.parse_args()
    try:
        settings = build(WitnessSettings, tomllib.loads(arguments.config.read_text(encoding="utf-8")))
        log_key = load_public_key(Path(settings.log_key_file))
    except (OSError, ValueError) as error:
        return _not_started(error, EXIT_SETTING)
    try:
        witness = _at_home(settings, log_key)
    except ValueError as error:
        return _not_started(error, EXIT_SETTING)
    except (OSError, sqlite3.Error) as error:
        return _not_started(error, EXIT_DISK)
    try:
        app = make_app(witness)
        serve(
            uvicorn.Server(uvicorn.Config(app, host=settings.host, port=settings.port, log_level="warning"))
        )
    except SystemExit:  # uvicorn's way to say that it cannot listen
        return _not_started(f"nothing can listen on {settings.host}:{settings.port}", EXIT_PORT)
    return 0


def _at_home(settings: WitnessSettings, log_key: PublicKey) -> Witness:
    folder = Path(settings.state_dir)
    folder.mkdir(parents=True, exist_ok=True)
    key = load_or_make_key(folder / "witness.key")
    (folder / "witness.pub.json").write_bytes(public_of(settings.name, key).to_bytes())
    return Witness(settings.name, log_key, key, folder / "witness.sqlite")


def _not_started(why: object, code: int) -> int:
    print(f"The witness did not start, so the audit log has one cosigner less: {why}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    raise SystemExit(main())
