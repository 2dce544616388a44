"""What every answer carries and every question must: strict headers, own origin, a correlation id.

Plain ASGI, so that a stream of events is never buffered.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

log = structlog.get_logger("dashboards")


class Measures:
    """What `/metrics` tells of the screens themselves."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mitra_screens_requests",
            "Answers by route and status",
            ("route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "mitra_screens_request_seconds",
            "Time to answer, streams left out",
            ("route",),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self.refused = Counter(
            "mitra_screens_refused",
            "Requests refused before a page saw them",
            ("reason",),
            registry=self.registry,
        )
        self.actions = Counter(
            "mitra_screens_actions", "What people said, by kind", ("kind",), registry=self.registry
        )


class Guard:
    """Wraps the application. origin: scheme, host and port that browsers use."""

    def __init__(self, app: App, *, origin: str, measures: Measures, secure: bool) -> None:
        self.app = app
        self.origin = origin
        self.measures = measures
        self.headers = HEADERS
        if secure:
            self.headers = (*HEADERS, (b"strict-transport-security", b"max-age=31536000"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        correlation = secrets.token_hex(6)
        scope.setdefault("state", {})["correlation"] = correlation
        started = time.perf_counter()
        status = 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    *self.headers,
                    (b"x-correlation-id", correlation.encode()),
                ]
            await send(message)

        reason = self.refusal(scope)
        if reason:
            self.measures.refused.labels(reason).inc()
            await _refuse(reason, send_guarded)
            return
        try:
            await self.app(scope, _bounded(receive), send_guarded)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            took_s = time.perf_counter() - started
            self.measures.requests.labels(route, str(status)).inc()
            if route != "/events":
                self.measures.seconds.labels(route).observe(took_s)
            if status >= 500:
                log.error("request_failed", correlation=correlation, route=route, status=status)

    def refusal(self, scope: Scope) -> str:
        """Why this request may not reach a page, or "" when it may."""
        headers = dict(scope["headers"])
        if not self._known_host(headers.get(b"host", b"").decode("latin-1")):
            return "unknown_host"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return "too_large"
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return ""
        site = headers.get(b"sec-fetch-site")
        origin = headers.get(b"origin")
        if site is not None and site not in (b"same-origin", b"none"):
            return "other_site"
        if origin is not None and origin.decode("latin-1") not in self._own_origins(scope, headers):
            return "other_origin"
        return ""

    def _known_host(self, host: str) -> bool:
        """A name that is not ours may be an attacker's, pointed at our address; a bare address cannot be."""
        name = urlsplit(f"//{host}").hostname or ""
        if name in ("localhost", urlsplit(self.origin).hostname):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True

    def _own_origins(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[str, str]:
        host = headers.get(b"host", b"").decode("latin-1")
        return self.origin, f"{scope.get('scheme', 'http')}://{host}"


def _bounded(receive: Receive) -> Receive:
    """Bodies without a length header are counted as they come."""
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            return {"type": "http.disconnect"}
        return message

    return receive_bounded


async def _refuse(reason: str, send: Send) -> None:
    status = 413 if reason == "too_large" else 403
    body = (
        f'{{"type":"about:blank","title":"Refused: {reason}","status":{status},'
        '"detail":"Nothing was changed. Open the page from its own address and try again."}'
    ).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/problem+json"),
                (b"content-length", str(len(body)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
