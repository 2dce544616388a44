"""Make .venv from uv.lock with nothing but Python's standard library.

Used by `make setup`. It takes uv from the PATH or from an earlier .venv; else it fetches the very wheel
that uv.lock records and checks its hash, so neither pip nor the venv package is needed.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LEAST_PYTHON = (3, 11)


def wanted_wheel() -> dict[str, str]:
    """The uv wheel of this platform as uv.lock lists it."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    wheels = next(package for package in lock["package"] if package["name"] == "uv")["wheels"]
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
    if sys.platform == "darwin":
        tags = ("macosx", "arm64" if machine == "aarch64" else machine)
    else:
        tags = ("manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux", machine)
    for wheel in wheels:
        name = wheel["url"].rsplit("/", 1)[-1]
        if all(tag in name for tag in tags):
            return wheel
    sys.exit(f"No uv wheel for {tags} in uv.lock: install uv by hand and run `make setup` again.")


def fetched_uv(folder: Path) -> str:
    """Download uv into folder; returns the path of the binary."""
    wheel = wanted_wheel()
    try:
        with urllib.request.urlopen(wheel["url"], timeout=180) as answer:  # noqa: S310 (the lock's own address)
            raw = answer.read()
    except (urllib.error.URLError, TimeoutError) as error:
        sys.exit(f"The package index cannot be reached ({error}). Connect to the network, then `make setup`.")
    if hashlib.sha256(raw).hexdigest() != wheel["hash"].removeprefix("sha256:"):
        sys.exit("The uv wheel that came does not have the hash that uv.lock records; nothing was installed.")
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        target = folder / "uv"
        target.write_bytes(archive.read(name))
    target.chmod(target.stat().st_mode | stat.S_IXUSR)
    return str(target)


def main() -> None:
    if sys.version_info < LEAST_PYTHON:
        sys.exit(f"Python 3.11 or newer is needed, this is {platform.python_version()}.")
    with tempfile.TemporaryDirectory() as folder:
        own = VENV / "bin" / "uv"
        found = str(own) if own.exists() else shutil.which("uv")
        if found and found == str(own):
            found = shutil.copy(own, Path(folder) / "uv")  # sync may replace the one in .venv
        uv = found or fetched_uv(Path(folder))
        environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(VENV), "UV_PYTHON_DOWNLOADS": "never"}
        environment.pop("VIRTUAL_ENV", None)
        command = [uv, "sync", "--frozen", "--all-extras", "--python", sys.executable]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        sys.exit("Setting up .venv failed; the lines above say why. Nothing outside the clone was changed.")


if __name__ == "__main__":
    main()
