"""`mitra technician`: decide about stops at the terminal, with a key in a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import typer

from control import roster as keeper
from control.config import load_public_key
from control.technician import RefusedError, Technician, enrol_software
from ingest.contract.explain import of_system
from mitra.commands.roster import RoleName, sentences, tell
from mitra.commands.speech import AsJson, err, moment, reading, say_json, say_table
from mitra.exits import PersonError

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Decide about stops at the terminal: enrol, list, revoke, proposals, approve, reject.",
)

Key = Annotated[Path, typer.Option(help="Your key file (`mitra technician enrol`).")]
Url = Annotated[str, typer.Option(help="Control's address.")]
EdgeKey = Annotated[
    list[Path] | None,
    typer.Option(help="edge.pub.json of an actuator, to check tickets by; repeatable."),
]
Folder = Annotated[Path, typer.Option("--roster", help="The roster's folder.")]
Proposal = Annotated[str, typer.Argument(help="The proposal's id (`mitra technician proposals`).")]
LOCAL = "http://localhost:8443"


@app.command()
def enrol(
    person: Annotated[str, typer.Argument(help="An id for the person: a-z, 0-9 and -")],
    name: Annotated[str, typer.Option(help="The person's name.")],
    key: Annotated[Path, typer.Option(help="Where the new key file is written; never overwritten.")],
    roster: Folder,
    site: Annotated[str, typer.Option(help="The plant's id.")],
    origin: Annotated[str, typer.Option(help="The approver's page.")] = "http://localhost:8444",
    rp_id: Annotated[str, typer.Option(help="The page's host name.")] = "localhost",
    role: Annotated[RoleName, typer.Option(help="approver and lead may sign, viewer may look.")] = "approver",
    publish: Annotated[bool, typer.Option("--publish", help="Publish the roster at once.")] = False,
) -> None:
    """Make a software key and put its public half into the roster's draft.

    A key in a file can be copied: actuators believe it only with `allow_software_keys = true`, which is for
    trials. Passkeys are enrolled with `mitra roster enrol`.

    Example: `mitra technician enrol budi --name "Budi S." --key budi.json --roster roster --site my-plant
    --publish`
    """
    if key.exists():
        raise PersonError("setting", f"{key} exists already and was left alone; name another.")
    with sentences(roster):
        keeper.draft_of(roster)  # a key that no roster could take would lie about
    with sentences(roster):
        enrol_software(
            roster, key, site=site, person_id=person, name=name, role=role, origin=origin, rp_id=rp_id
        )
        if publish:
            keeper.publish(roster, datetime.now(UTC))
    err.print("published" if publish else "In the draft; `mitra roster publish` makes it true.")


@app.command("list")
def listing(roster: Folder, as_json: AsJson = False) -> None:
    """List who is in the published roster.

    Example: `mitra technician list --roster roster`
    """
    with sentences(roster):
        found = keeper.show(roster, datetime.now(UTC)).roster
    tell(found, as_json)


@app.command()
def revoke(
    person: Annotated[str, typer.Argument(help="The person's id.")],
    roster: Folder,
    credential: Annotated[str, typer.Option(help="Only this key.")] = "",
    publish: Annotated[bool, typer.Option("--publish", help="Publish the roster at once.")] = False,
) -> None:
    """Take a person or one key out of the roster's draft.

    Example: `mitra technician revoke budi --roster roster --publish`
    """
    with sentences(roster):
        keeper.revoke(roster, person, credential)
        if publish:
            keeper.publish(roster, datetime.now(UTC))
    err.print("published" if publish else "In the draft; `mitra roster publish` makes it true.")


@app.command()
def proposals(
    key: Key,
    url: Url = LOCAL,
    state: Annotated[Literal["open", "closed"], typer.Option(help="Asked now, or decided.")] = "open",
    as_json: AsJson = False,
) -> None:
    """List what people are asked to decide.

    Example: `mitra technician proposals --key budi.json`
    """
    with _signed_in(key, url) as person:
        found = person.proposals(state)
    if as_json:
        say_json(found)
        return
    head = ("id", "machine", "state", "approvals", "expires (UTC)", "reason")
    say_table(head, (_row(one) for one in found))


@app.command()
def approve(
    proposal: Proposal,
    key: Key,
    url: Url = LOCAL,
    presence: Annotated[str, typer.Option(help="The code shown at the machine, where it needs one.")] = "",
    edge_key: EdgeKey = None,
    as_json: AsJson = False,
) -> None:
    """Read a proposal's exact bytes, check the edge's ticket (with --edge-key), sign: the machine may stop.

    Example: `mitra technician approve P-1 --key budi.json --presence 4711 --edge-key gw-1.pub.json`
    """
    with _signed_in(key, url, edge_key) as person:
        answer = person.approve(proposal, presence)
    _told(answer, as_json)


@app.command()
def reject(
    proposal: Proposal,
    reason: Annotated[str, typer.Option(help="Why the machine shall run on.")],
    key: Key,
    url: Url = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Reject a stop: one rejection is enough, the machine runs on.

    Example: `mitra technician reject P-1 --reason "bearing was changed this morning" --key budi.json`
    """
    with _signed_in(key, url) as person:
        answer = person.reject(proposal, reason)
    _told(answer, as_json)


@contextmanager
def _signed_in(key: Path, url: str, edge_keys: list[Path] | None = None) -> Iterator[Technician]:
    """A person who has logged in. Raises PersonError."""
    try:
        with reading(key, "the key file"):
            pinned = tuple(load_public_key(path) for path in edge_keys or ())
            person = Technician(url, key, pinned)
    except (ValueError, TypeError) as error:
        raise PersonError("setting", f"Nothing was decided: {error}") from error
    try:
        with person:
            person.login()
            yield person
    except RefusedError as error:
        raise PersonError("check", f"Control refused, and nothing changed at the machine: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PersonError(
            "missing",
            f"Control at {url!r} cannot be reached ({_why(error)}), so nothing was decided; the machine runs "
            "on. Start it, or name it with --url, as http://localhost:8443. The local stop works without it.",
        ) from error


def _why(error: BaseException) -> str:
    """What the system said at the bottom of it, without its numbers."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return of_system(error) if isinstance(error, OSError) else str(error)


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    given = f"{len(one['approvals'])} of {one['approvals_needed']}"
    expires = moment(int(one["expires"] or 0) * 10**9)
    return one["id"], one["machine"], one["state"], given, expires, one["reason"]


def _told(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(answer)
    else:
        say_table(("what", "value"), answer.items())
