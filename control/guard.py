"""What every HTTP request meets first: size, encoding, strict JSON, origin; and what every answer carries."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.contract.approval.strict import parse_object
from ingest.contract.rejected import Rejected

MAX_BODY_BYTES = 16 * 1024
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
API_HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-site",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware. origin: the approver's page, the only one that may read answers or change anything."""

    def __init__(self, app: ASGIApp, origin: str) -> None:
        """Wrap an application."""
        self._app, self._origin = app, origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what must not come in; add headers to what goes out."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in API_HEADERS.items():
                    out[name] = value
                out["vary"] = "Origin"
                if origin == self._origin:
                    out["access-control-allow-origin"] = self._origin
                    out["access-control-allow-credentials"] = "true"
            await send(message)

        if scope["method"] == "OPTIONS":
            await _answer(guarded, 204 if origin == self._origin else 403, _PREFLIGHT)
            return
        if scope["method"] in CHANGING:
            if origin != self._origin:
                await _problem(guarded, 403, "foreign_origin")
                return
            body = await _read(receive)
            status, code = _check_body(headers, body)
            if code:
                await _problem(guarded, status, code)
                return
            receive = _replay(body or b"")
        await self._app(scope, receive, guarded)


_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers": "content-type, x-csrf-token",
    "access-control-max-age": "600",
}


def _check_body(headers: Headers, body: bytes | None) -> tuple[int, str]:
    if headers.get("content-encoding", "identity") != "identity":
        # Nothing is ever unpacked here, so no small body can become a large one.
        return 415, "bad_encoding"
    if body is None:
        return 413, "oversize"
    if not body:
        return 0, ""
    if headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return 415, "not_json"
    found = parse_object(body, MAX_BODY_BYTES)
    return (400, found.reason) if isinstance(found, Rejected) else (0, "")


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None when it is larger than allowed."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _replay(body: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _problem(send: Send, status: int, code: str) -> None:
    body = json.dumps({"type": f"urn:mitra:control:{code}", "title": code, "status": status, "code": code})
    await _answer(send, status, {"content-type": "application/problem+json"}, body.encode())


async def _answer(send: Send, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
