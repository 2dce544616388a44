"""Closed work orders, from a file or posted by the maintenance system, become verdicts of the desk.

The listener is a process of its own with a port of its own, so that the network of the maintenance system
needs no way to the screens. It can say verdicts, which quarantine weighs before they train; nothing else.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from ingest.contract.actions import Action, ActionKind
from ingest.contract.rejected import Rejected
from ingest.desk import Desk
from mitra.exits import PersonError
from mitra.layout import make_folder, writing
from mitra.stored import book_of_desk
from models.labels import COLUMN_NAMES, FAULT, Label, Source, read_posted_orders, revised

BODY_BYTES_MAX = 1 << 20
ORDERS_MAX = 1_000
TOKEN_CHARS_MIN = 32
PATH = "/work-orders"


@dataclass(frozen=True, slots=True)
class Orders:
    """What a plant needs to understand orders. faults: their code -> ours; names: our field -> theirs."""

    machines: frozenset[str]
    zone: tzinfo
    faults: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def faults_of(texts: Iterable[str], option: str) -> dict[str, str]:
    """Their fault codes and ours. Raises PersonError.

    >>> faults_of(["BRG01=bearing_outer"], "--fault")
    {'BRG01': 'bearing_outer'}
    """
    found = _pairs(texts, option)
    for ours in found.values():
        if not FAULT.fullmatch(ours):
            raise PersonError(
                "setting",
                f"{option}: our fault codes are of a-z, 0-9 and _, got {ours!r}. Write BRG01=bearing_outer.",
            )
    return found


def columns_of(texts: Iterable[str], option: str) -> dict[str, str]:
    """Our columns and theirs. Raises PersonError.

    >>> columns_of(["machine=Aset"], "--column")
    {'machine': 'Aset'}
    """
    found = _pairs(texts, option)
    for ours in found:
        if ours not in COLUMN_NAMES:
            raise PersonError(
                "setting", f"{option}: we have no {ours!r}; known are {', '.join(COLUMN_NAMES)}."
            )
    return found


def _pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        first, _, second = (part.strip() for part in text.partition("="))
        if not (first and second):
            raise PersonError("setting", f"{option} is written as A=B, got {text!r}.")
        found[first] = second
    return found


def say_orders(labels: tuple[Label, ...], desk_path: Path) -> tuple[int, tuple[Rejected, ...]]:
    """Write labels of work orders to the desk, once: how many were new or corrected, and what was refused.

    An order that comes again with other content corrects what it said before. Raises PersonError.
    """
    make_folder(desk_path.parent)
    book = book_of_desk(desk_path)
    new, refused = 0, []
    desk = Desk(desk_path)
    try:
        for label in revised(labels, book):
            added = book.add(label)
            if isinstance(added, Rejected):
                refused.append(added)
                continue
            new += desk.say(_action(label))
    finally:
        desk.close()
    return new, tuple(refused)


def _action(label: Label) -> Action:
    values: dict[str, str | int | float] = {
        "verdict": label.verdict.value,
        "from_ns": label.from_ns,
        "to_ns": label.to_ns,
        "fault": label.fault,
        "component": label.component,
        "source": Source.WORK_ORDER.value,
    }
    if label.corrects:
        values["corrects"] = label.corrects
    return Action(label.label_id, ActionKind.VERDICT, label.by, label.said_ns, label.machine, values=values)


def token_of(path: Path) -> str:
    """The word that the maintenance system must know, made at the first start. Raises PersonError."""
    with writing(path):
        if path.exists():
            token = path.read_text("utf-8").strip()
        else:
            token = secrets.token_urlsafe(32)
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(token + "\n")
    if len(token) < TOKEN_CHARS_MIN:
        raise PersonError(
            "setting",
            f"The token in {path} is shorter than {TOKEN_CHARS_MIN} characters, so anybody could guess it "
            "and nothing listens. Remove the file; a good one is made at the next start.",
        )
    return token


def build_app(
    orders: Orders, desk_path: Path, token: str, now_ns: Callable[[], int] = time.time_ns
) -> Starlette:
    """`POST /work-orders` with `Authorization: Bearer TOKEN` and one order, a list, or {"orders": [...]}."""
    one_at_a_time = asyncio.Lock()

    async def posted(request: Request) -> JSONResponse:
        if not _knows(request, token):
            return _refusal(401, "unauthorised", "Send the token of this listener as Authorization: Bearer.")
        body = await _body(request)
        if body is None:
            return _refusal(
                413, "too_large", f"At most {BODY_BYTES_MAX} bytes are taken at once. Send fewer."
            )
        found = _orders_of(body)
        if isinstance(found, Rejected):
            return _refusal(422, found.reason, found.detail)
        try:
            async with one_at_a_time:
                return JSONResponse(await asyncio.to_thread(_take, found, orders, desk_path, now_ns()))
        except (PersonError, sqlite3.Error) as error:
            return _refusal(503, "not_stored", f"Nothing was taken, post it again later: {error}")

    return Starlette(routes=[Route(PATH, posted, methods=["POST"])])


def _knows(request: Request, token: str) -> bool:
    kind, _, said = request.headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(said.strip().encode(), token.encode())


async def _body(request: Request) -> bytes | None:
    """The whole body, or None as soon as it is too large; a length that lies is not believed."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            return None
        parts.append(part)
    return b"".join(parts)


def _orders_of(body: bytes) -> list[Any] | Rejected:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Rejected("not_json", "The body is not JSON. Send one order as an object, or a list of them.")
    if isinstance(said, dict):
        said = said.get("orders", [said])
    if not isinstance(said, list):
        return Rejected("no_orders", "The body is neither an order nor a list of orders.")
    if len(said) > ORDERS_MAX:
        return Rejected("too_many", f"At most {ORDERS_MAX} orders are taken at once. Send fewer.")
    return said


def _take(posted: list[Any], orders: Orders, desk_path: Path, now_ns: int) -> dict[str, Any]:
    read = read_posted_orders(
        posted,
        machines=orders.machines,
        said_ns=now_ns,
        zone=orders.zone,
        faults=orders.faults,
        names=orders.names,
    )
    new, not_said = say_orders(read.labels, desk_path)
    refused = [{"order": row, "reason": why.reason, "detail": why.detail} for row, why in read.refused]
    refused += [{"order": None, "reason": why.reason, "detail": why.detail} for why in not_said]
    return {"labels": len(read.labels), "new": new, "planned": read.planned, "refused": refused}


def _refusal(status: int, reason: str, detail: str) -> JSONResponse:
    return JSONResponse({"reason": reason, "detail": detail}, status_code=status)
