"""`mitra user`: who may act on the screens. Approving a stop is not here: that needs a key."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import tomli_w
import typer

from dashboards.accounts import Account, AccountError, Role, hash_word, parse_accounts
from ingest.contract.explain import explained
from mitra.commands.speech import AsJson, err, reading, say_json, say_table
from mitra.exits import PersonError
from mitra.layout import Layout, plant_folder, writing

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Accounts of the screens: add, list, password, remove.",
)

Data = Annotated[Path | None, typer.Option(help="The data folder of the plant: its accounts file.")]
Users = Annotated[Path | None, typer.Option(help="An accounts file (`users` of the screens' configuration).")]
AGAIN = "`mitra serve` reads it within seconds, screens that run alone at their next start."


def accounts_file(data: Path | None, users: Path | None) -> Path:
    """The file that is meant. Raises PersonError unless exactly one way names it."""
    if (data is None) == (users is None):
        raise PersonError("setting", "Name the accounts file with either --data DIR or --users FILE.")
    return users if users is not None else Layout(data or Path()).users


def read(path: Path) -> dict[str, Account]:
    """Accounts by name; none when there is no file yet. Raises PersonError."""
    if not path.exists():
        return {}
    try:
        with reading(path, "the accounts file"):
            return parse_accounts(path.read_text("utf-8"), str(path))
    except AccountError as error:
        raise PersonError("setting", str(error)) from error


def write(path: Path, accounts: dict[str, Account]) -> None:
    """Replace the file in one step, readable by its owner only. Raises PersonError."""
    table = {"user": [msgspec.to_builtins(one) for one in accounts.values()]}
    fresh = path.with_name(f".{path.name}.new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            tomli_w.dump(table, file)
        fresh.replace(path)


def asked_word() -> str:
    """A password's hash: asked twice at a terminal, else one line of stdin. Raises PersonError."""
    if sys.stdin.isatty():
        word: str = typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        word = sys.stdin.readline().rstrip("\n")
    try:
        return hash_word(word)
    except ValueError as error:
        raise PersonError("setting", f"{error}; nothing was changed.") from error


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="How the person signs in: a-z, 0-9, . and -")],
    role: Annotated[Role, typer.Option(help="What the person may do.")],
    shown: Annotated[str, typer.Option(help="The name that others see.")] = "",
    data: Data = None,
    users: Users = None,
) -> None:
    """Let a person act on the screens. The password is asked for, or read from stdin.

    Example: `mitra user add sari --role technician --shown "Sari W." --data plant-data`
    """
    path = accounts_file(data, users)
    accounts = read(path)
    if name in accounts:
        raise PersonError(
            "setting", f"{name} has an account already; `mitra user password {name}` gives a new password."
        )
    try:
        account = msgspec.convert(
            {"name": name, "role": role, "word_hash": asked_word(), "shown": shown}, Account
        )
    except msgspec.ValidationError as error:
        raise PersonError("setting", f"{name!r} was not added: {explained(error, Account)}.") from error
    write(path, {**accounts, name: account})
    err.print(f"{name} may act as {role.value}; {path}. {AGAIN}", highlight=False)


@app.command()
def password(
    name: Annotated[str, typer.Argument(help="Whose password is forgotten.")],
    data: Data = None,
    users: Users = None,
) -> None:
    """Give a person a new password, as when the old one is forgotten.

    Example: `mitra user password sari --data plant-data`
    """
    path = accounts_file(data, users)
    _see_that_it_is_there(path, data)
    accounts = read(path)
    changed = msgspec.structs.replace(_known(accounts, name), word_hash=asked_word())
    write(path, {**accounts, name: changed})
    err.print(f"{name} has a new password. {AGAIN}", highlight=False)


@app.command("list")
def listing(data: Data = None, users: Users = None, as_json: AsJson = False) -> None:
    """List who may act and as what; never a password or its hash.

    Example: `mitra user list --data plant-data`
    """
    path = accounts_file(data, users)
    _see_that_it_is_there(path, data)
    found = [{"name": one.name, "role": one.role.value, "shown": one.shown} for one in read(path).values()]
    if as_json:
        say_json(found)
        return
    say_table(("name", "role", "shown"), (tuple(one.values()) for one in found))
    if not found:
        err.print("Nobody has an account yet; `mitra user add` makes one.")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Who may no longer act.")],
    data: Data = None,
    users: Users = None,
) -> None:
    """Take a person's account away; what the person did stays in the audit.

    Example: `mitra user remove sari --data plant-data`
    """
    path = accounts_file(data, users)
    _see_that_it_is_there(path, data)
    accounts = read(path)
    _known(accounts, name)
    write(path, {other: account for other, account in accounts.items() if other != name})
    err.print(f"{name} may act no longer. {AGAIN}", highlight=False)


def _see_that_it_is_there(path: Path, data: Path | None) -> None:
    """A plant without accounts is lawful, a folder without a plant is a slip. Raises PersonError."""
    if data is not None:
        plant_folder(data)
    elif not path.exists():
        raise PersonError(
            "setting",
            f"There is no accounts file {path}. Name the one of the screens with --users, or make a first "
            "account with `mitra user add`.",
        )


def _known(accounts: dict[str, Account], name: str) -> Account:
    if name not in accounts:
        raise PersonError("setting", f"Nobody called {name} has an account; `mitra user list` shows who has.")
    return accounts[name]
