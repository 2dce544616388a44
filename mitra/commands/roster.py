"""`mitra roster`: who may approve a stop, as signed metadata that every edge verifies by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from control import roster as keeper
from control.enrolment import enrol_passkey
from control.roster import RosterError
from ingest.contract.approval.roster import Roster
from mitra.commands.speech import AsJson, err, reading, say, say_json, say_table
from mitra.exits import PersonError
from mitra.layout import make_folder

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Who may approve a stop: init, enrol, revoke, publish, refresh, rotate, show.",
)

Folder = Annotated[Path, typer.Argument(help="The roster's folder: draft, keys, and `public/`.")]
RoleName = Literal["approver", "lead", "viewer"]


@contextmanager
def sentences(folder: Path) -> Iterator[None]:
    """Turn what the keeper of the roster refuses into a sentence. Raises PersonError."""
    try:
        with reading(folder, "the roster"):
            yield
    except (RosterError, ValueError) as error:
        raise PersonError("setting", f"The roster in {folder} was not changed: {error}") from error


@app.command()
def init(
    folder: Folder,
    site: Annotated[str, typer.Option(help="The plant's id, as in its plant file.")],
    as_json: AsJson = False,
) -> None:
    """Make all keys, the first root and an empty roster.

    Three root keys (two must sign; keep them offline), two leads' keys (both sign the roster), one online key
    (the daily `refresh`). Pin the printed root at control and at every actuator.

    Example: `mitra roster init roster --site my-plant`
    """
    make_folder(folder)
    with sentences(folder):
        root = keeper.init(folder, site, datetime.now(UTC))
    if as_json:
        say_json({"root": str(root), "keys": [str(one) for one in sorted((folder / "keys").glob("*.pem"))]})
        return
    say(str(root))
    err.print(
        f"Keys are in {folder / 'keys'}: take root-*.pem to safe places now, give each lead a lead-*.pem.",
        highlight=False,
    )


@app.command()
def enrol(
    folder: Folder,
    file: Annotated[Path, typer.Argument(help="The enrolment file that the approver's page made.")],
    role: Annotated[RoleName, typer.Option(help="approver and lead may sign, viewer may look.")],
    site: Annotated[str, typer.Option(help="The plant's id.")],
    origin: Annotated[str, typer.Option(help="The approver's page, as https://approve.plant.example")],
    rp_id: Annotated[str, typer.Option(help="The page's host name, as approve.plant.example")],
    as_json: AsJson = False,
) -> None:
    """Check a person's passkey and put it into the draft; nothing changes until `publish`.

    Do it in the person's presence, two keys each: one that is lost must not lock a technician out.

    Example: `mitra roster enrol roster sari.json --role approver --site my-plant --origin
    https://approve.plant.example --rp-id approve.plant.example`
    """
    with sentences(folder):
        person = enrol_passkey(folder, file.read_bytes(), site=site, role=role, origin=origin, rp_id=rp_id)
    if as_json:
        say_json({"person": person})
    else:
        say(person)
    err.print("In the draft; `mitra roster publish` makes it true.", highlight=False)


@app.command()
def revoke(
    folder: Folder,
    person: Annotated[str, typer.Argument(help="The person's id.")],
    credential: Annotated[str, typer.Option(help="Only this key, as one that was lost.")] = "",
    now: Annotated[bool, typer.Option("--publish", help="Publish at once.")] = False,
) -> None:
    """Take a person, or one lost key, out of the draft; true with `publish` (or --publish).

    Example: `mitra roster revoke roster sari-wulandari --credential AbC... --publish`
    """
    with sentences(folder):
        keeper.revoke(folder, person, credential)
        if now:
            keeper.publish(folder, datetime.now(UTC))
    err.print("published" if now else "In the draft; `mitra roster publish` makes it true.")


@app.command()
def publish(
    folder: Folder,
    lead_key: Annotated[
        list[Path] | None, typer.Option(help="A lead's key file; repeatable. Default: keys/lead-*.pem.")
    ] = None,
    online_key: Annotated[Path | None, typer.Option(help="Default: keys/online.pem.")] = None,
    as_json: AsJson = False,
) -> None:
    """Sign the draft with the leads' keys: what edges will believe from now on.

    Example: `mitra roster publish roster --lead-key usb1/lead-1.pem --lead-key usb2/lead-2.pem`
    """
    with sentences(folder):
        made = keeper.publish(folder, datetime.now(UTC), lead_keys=lead_key or (), online_key=online_key)
    tell(made, as_json)


@app.command()
def refresh(
    folder: Folder, online_key: Annotated[Path | None, typer.Option(help="Default: keys/online.pem.")] = None
) -> None:
    """Say for one more day that this roster is the newest: a stale one allows no remote stop. Run it daily.

    Example: `mitra roster refresh roster`
    """
    with sentences(folder):
        keeper.refresh(folder, datetime.now(UTC), online_key=online_key)
    err.print("refreshed")


@app.command()
def rotate(
    folder: Folder,
    old_key: Annotated[list[Path], typer.Option(help="An old root key that signs; repeatable.")],
    new_key: Annotated[list[Path], typer.Option(help="A new root key, made when missing; repeatable.")],
) -> None:
    """Replace the root keys, signed by old and new ones, as when one was lost or is old.

    Example: `mitra roster rotate roster --old-key a.pem --old-key b.pem --new-key c.pem --new-key d.pem
    --new-key e.pem`
    """
    with sentences(folder):
        made = keeper.rotate_root(folder, datetime.now(UTC), old_keys=old_key, new_keys=new_key)
    say(str(made))


@app.command()
def show(folder: Folder, as_json: AsJson = False) -> None:
    """Show the published roster as an edge would judge it. Exit code 6: an edge would refuse it.

    Example: `mitra roster show roster`
    """
    try:
        with reading(folder, "the roster"):
            believed = keeper.show(folder, datetime.now(UTC))
    except (RosterError, ValueError) as error:
        raise PersonError("check", f"Remote stops are refused now: {error}") from error
    tell(believed.roster, as_json)


def tell(roster: Roster, as_json: bool) -> None:
    """Print a roster: people and their keys."""
    if as_json:
        say_json({"site": roster.site, "persons": [as_dict(one) for one in roster.persons]})
        return
    rows = [
        (one.id, one.name, one.role, key.kind if key else "", key.id if key else "no key")
        for one in roster.persons
        for key in (one.credentials or (None,))
    ]
    say_table(("person", "name", "role", "kind", "key"), rows)


def as_dict(person: Any) -> dict[str, Any]:
    """A person for JSON; public halves only, there are no others."""
    keys = [{"id": key.id, "kind": key.kind, "alg": key.alg} for key in person.credentials]
    return {"id": person.id, "name": person.name, "role": person.role, "keys": keys}
