"""Serves the page and what it must know: control's address, pinned edge keys, (demo only) software keys."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from control.authenticator import load_software_key
from control.config import EdgeSettings, load_public_key
from control.page.bundle import MEDIA
from ingest.contract.approval.settings import SettingsError, build, check_port, read_table, said_of, tables_of
from ingest.contract.ids import is_id


@dataclass(frozen=True, slots=True)
class PageSite:
    """`[[site]]`: a plant that people may choose when they log in."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class PageSettings:
    """The whole file. demo_keys: software key files; demo_panel_dir: the simulated machines' displays."""

    host: str
    port: int
    control_url: str
    rp_id: str
    site: tuple[PageSite, ...]
    edge: tuple[EdgeSettings, ...]
    tls_cert: str = ""
    tls_key: str = ""
    demo_keys: tuple[str, ...] = ()
    demo_panel_dir: str = ""

    def __post_init__(self) -> None:
        check_port(self.port)
        if "://" not in self.control_url or self.control_url.endswith("/"):
            raise SettingsError(f"control_url must look like https://host:port, got {self.control_url!r}")


def load_page_settings(path: Path) -> PageSettings:
    """Read the file. Raises SettingsError with a sentence that says what to do."""
    table = read_table(path)
    with said_of(path):
        table["site"] = tuple(build(PageSite, one, "site.") for one in tables_of(table, "site"))
        table["edge"] = tuple(build(EdgeSettings, one, "edge.") for one in tables_of(table, "edge"))
        settings = build(PageSettings, table)
    return replace(settings, demo_keys=tuple(settings.demo_keys))


def page_headers(control_url: str) -> Mapping[str, str]:
    """Nothing but the page's own files, and one address to talk to."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {control_url}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    )
    return {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
        "cache-control": "no-cache",
    }


def site_json(settings: PageSettings) -> bytes:
    """What the page trusts instead of control: the edges' public keys, read once, at start."""
    edges = [
        {
            "edge": edge.id,
            "site": edge.site,
            "key_id": key.key_id,
            "alg": key.alg,
            "public_key": key.public_key,
        }
        for edge in settings.edge
        for key in [load_public_key(Path(edge.public_key_file))]
    ]
    keys = [load_software_key(Path(one)) for one in settings.demo_keys]
    demo: list[dict[str, Any]] = [
        {
            "site": key.site,
            "person": key.person,
            "name": key.name,
            "credential": key.credential,
            "alg": key.alg,
            "private_key": key.private_key,
        }
        for key in keys
    ]
    found = {
        "control": settings.control_url,
        "rp_id": settings.rp_id,
        "sites": [{"id": one.id, "name": one.name} for one in settings.site],
        "edges": edges,
        "demo_keys": demo,
        "demo_panel": bool(settings.demo_panel_dir),
    }
    return json.dumps(found).encode()


def make_page(settings: PageSettings, bundle: Mapping[str, bytes]) -> Starlette:
    """The application: files from memory, nothing else."""
    headers = page_headers(settings.control_url)
    files = {f"/{name}": (data, MEDIA[Path(name).suffix]) for name, data in bundle.items()}
    files["/"] = files["/index.html"]
    files["/site.json"] = (site_json(settings), MEDIA[".json"])

    packed = {path: gzip.compress(data, 9, mtime=0) for path, (data, _) in files.items()}

    async def serve(request: Request) -> Response:
        found = files.get(request.url.path)
        if found is None:
            return Response(status_code=404, headers=headers)
        out = {**headers, "content-type": found[1], "vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed[request.url.path], headers={**out, "content-encoding": "gzip"})
        return Response(found[0], headers=out)

    async def panel(request: Request) -> Response:
        machine = request.path_params["machine"]
        if not settings.demo_panel_dir or not is_id(machine):
            return Response(status_code=404, headers=headers)
        try:
            shown = (Path(settings.demo_panel_dir) / f"{machine}.json").read_bytes()
        except OSError:
            return Response(status_code=404, headers=headers)
        return Response(shown, headers={**headers, "content-type": MEDIA[".json"]})

    async def healthz(_request: Request) -> Response:
        return Response(b'{"status":"ok"}', headers={**headers, "content-type": MEDIA[".json"]})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/demo/panel/{machine}", panel),
            Route("/{path:path}", serve),
        ]
    )
