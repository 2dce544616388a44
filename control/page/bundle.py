"""The page's files and their pinned hashes: what a person's browser runs is what was reviewed."""

from __future__ import annotations

from pathlib import Path

from ingest.contract.approval.messages import sha256_hex

STATIC = Path(__file__).parent / "static"
PINS = Path(__file__).parent / "SHA256SUMS"
MEDIA: dict[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


class BundleError(Exception):
    """A file of the page is not the one that was pinned: nothing is served."""


def load_bundle(static: Path = STATIC, pins: Path = PINS) -> dict[str, bytes]:
    """The page's files by name, each checked. Raises BundleError."""
    lines = [line.partition("  ") for line in pins.read_text().splitlines() if line]
    wanted = {name: digest for digest, _, name in lines}
    found = {path.name: path.read_bytes() for path in sorted(static.iterdir()) if path.suffix in MEDIA}
    if set(found) != set(wanted):
        raise BundleError(f"files and pins differ: {sorted(set(found) ^ set(wanted))}")
    for name, data in found.items():
        if sha256_hex(data) != wanted[name]:
            raise BundleError(f"{name} was changed; install the page again")
    return found


def pin(static: Path = STATIC, pins: Path = PINS) -> None:
    """Write the hashes of the files as they are: for a developer who has just reviewed them."""
    lines = [f"{sha256_hex(p.read_bytes())}  {p.name}" for p in sorted(static.iterdir()) if p.suffix in MEDIA]
    pins.write_text("\n".join(lines) + "\n")
