"""`mitra model`: signed versions, champion and challenger, and the gate and the person between them."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.contract.models_now import MODELS_FILE, Agreement
from mitra.commands.model_export import export
from mitra.commands.speech import AsJson, DataFolder, err, moment, say, say_json, say_table
from mitra.decisions import ask_gate, carry_out
from mitra.exits import PersonError
from mitra.layout import Layout, plant_folder, read_plant
from mitra.models_file import read_models
from models.registry import GateVerdict, RefusedError, Registry, Standing, UntrustedModelError
from models.training import card, gate_lines

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Models: list, show, export, challenge, compare, promote, rollback, refuse, carry-out.",
)
app.command()(export)

Name = Annotated[str, typer.Argument(help="The model's name, without a version.")]
Version = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="As `mitra model list` prints it.")]
PlantFile = Annotated[Path, typer.Option("--plant", help="The plant file: machines and their kinds.")]
Golden = Annotated[Path, typer.Option(help="Golden cases: case,machine,from,to,faulty.")]
By = Annotated[str, typer.Option(help="Who decides; default: who is logged in here.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for whoever is on shift: 10 characters or more.")]


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the registry refuses into a sentence. Raises PersonError."""
    try:
        yield
    except RefusedError as error:
        raise PersonError("check", str(error)) from error
    except UntrustedModelError as error:
        raise PersonError("check", str(error)) from error


def registry_of(data: Path) -> Registry:
    """The registry of a plant. Raises PersonError when it has none."""
    folder = Layout(data).registry
    if not folder.is_dir():
        raise PersonError(
            "setting",
            f"{data} has no registry ({folder} is missing). Train a first model with `mitra train`.",
        )
    return Registry(folder)


def split(label: str) -> tuple[str, int]:
    """Name and version of a label. Raises PersonError.

    >>> split("bearings@3")
    ('bearings', 3)
    """
    name, _, number = label.partition("@")
    if not name or not number.isdecimal():
        raise PersonError("setting", f"A version is written as bearings@3, got {label!r}.")
    return name, int(number)


@app.command("list")
def listing(data: DataFolder, as_json: AsJson = False) -> None:
    """List every version, newest first, and which is champion or challenger.

    Example: `mitra model list --data plant-data`
    """
    found = registry_of(data).listed()
    if as_json:
        say_json(found)
        return
    rows = (
        (one.label, one.kind, moment(one.created_ns), ", ".join(one.aliases), "yes" if one.signed else "NO")
        for one in found
    )
    say_table(("version", "kind", "trained (UTC)", "is", "signed"), rows)


@app.command()
def show(version: Version, data: DataFolder, as_json: AsJson = False) -> None:
    """Print the card of a version: data window, figures with intervals, limits. Its signature is checked.

    Example: `mitra model show isolation-forest@2 --data plant-data`
    """
    with refusals():
        manifest = registry_of(data).manifest(*split(version))
    if as_json:
        say_json(manifest)
    else:
        say(card(manifest))


@app.command()
def challenge(version: Version, data: DataFolder, reason: Why, by: By = "", as_json: AsJson = False) -> None:
    """Make a version the challenger; the first of a name becomes champion, as nothing stood before it.

    Example: `mitra model challenge isolation-forest@2 --data plant-data --reason "Half a year more of data"`
    """
    name, number = split(version)
    with refusals():
        now = registry_of(data).challenge(name, number, by=person(by), reason=reason, now_ns=time.time_ns())
    _standing(name, now, as_json)


@app.command()
def compare(name: Name, data: DataFolder, plant: PlantFile, golden: Golden, as_json: AsJson = False) -> None:
    """Replay champion and challenger on the same history and ask the gate. Exit code 6: it did not pass.

    Example: `mitra model compare isolation-forest --data plant-data --plant plant.toml --golden golden.csv`
    """
    verdict = _verdict(registry_of(data), name, data, plant, golden)
    live = live_agreement(data, verdict)
    if as_json:
        say_json({**verdict_as_dict(verdict), "live": live})
    else:
        _gate(verdict)
        if live is not None:
            say(
                f"Live, side by side: {live.days} machine-days; both alarmed on {live.both}, only "
                f"{live.champion} on {live.only_champion}, only {live.challenger} on {live.only_challenger}."
            )
    if not verdict.passed:
        raise typer.Exit(6)


@app.command()
def promote(
    name: Name,
    data: DataFolder,
    plant: PlantFile,
    golden: Golden,
    reason: Why,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Make the challenger champion, if the gate passes now and you say why. Exit code 6: it did not.

    Example: `mitra model promote isolation-forest --data plant-data --plant plant.toml --golden golden.csv
    --reason "Catches the two gearbox faults that were missed"`
    """
    registry = registry_of(data)
    verdict = _verdict(registry, name, data, plant, golden)
    if not as_json:
        _gate(verdict)
    with refusals():
        now = registry.promote(name, verdict, by=person(by), reason=reason, now_ns=time.time_ns())
    _standing(name, now, as_json)


@app.command()
def rollback(name: Name, data: DataFolder, reason: Why, by: By = "", as_json: AsJson = False) -> None:
    """Go back to the champion before this one: the same bytes as when it left.

    Example: `mitra model rollback isolation-forest --data plant-data --reason "False alarms on the fans"`
    """
    with refusals():
        now = registry_of(data).rollback(name, by=person(by), reason=reason, now_ns=time.time_ns())
    _standing(name, now, as_json)


@app.command()
def refuse(version: Version, data: DataFolder, reason: Why, by: By = "", as_json: AsJson = False) -> None:
    """End the shadow run of a challenger that you do not want; the version stays in the registry.

    Example: `mitra model refuse isolation-forest@2 --data plant-data --reason "Calls every start a fault"`
    """
    name, number = split(version)
    with refusals():
        now = registry_of(data).refuse(name, number, by=person(by), reason=reason, now_ns=time.time_ns())
    _standing(name, now, as_json)


@app.command("carry-out")
def carry_out_decisions(
    data: DataFolder,
    plant: PlantFile,
    golden: Annotated[
        Path | None, typer.Option(help="Golden cases; default: training/golden.csv of the data folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Carry out what people decided on the Models page: promote through the gate, roll back, refuse.

    `mitra serve` and `mitra demo` do this by themselves; by hand it is for screens that run alone.

    Example: `mitra model carry-out --data plant-data --plant plant.toml`
    """
    plant_folder(data)
    found = carry_out(data, plant, golden)
    if as_json:
        say_json(found)
        return
    rows = ((one.model, one.kind, one.by, one.code, one.detail) for one in found)
    say_table(("model", "decided", "by", "came of it", "why"), rows)


def person(by: str) -> str:
    """Who decides."""
    return by or getpass.getuser()


def _verdict(registry: Registry, name: str, data: Path, plant: Path, golden: Path) -> GateVerdict:
    facts = read_plant(plant)
    now = registry.standing(name)
    if now.champion is None or now.challenger is None:
        raise PersonError(
            "setting",
            f"{name} has no champion and challenger to compare; `mitra model list` shows what there is, "
            "`mitra model challenge` names a challenger.",
        )
    with err.status("replaying both on the history"), refusals():
        return ask_gate(registry, name, data, facts, golden)


def live_agreement(data: Path, verdict: GateVerdict) -> Agreement | None:
    """What these two said side by side on the stream; None when they never ran so."""
    found = read_models(Layout(data).server / MODELS_FILE)
    live = None if found is None else found.agreement
    pair = (verdict.champion, verdict.challenger)
    return live if live is not None and (live.champion, live.challenger) == pair else None


def verdict_as_dict(verdict: GateVerdict) -> dict[str, Any]:
    """What the gate thinks, for a program."""
    return {
        "champion": verdict.champion,
        "challenger": verdict.challenger,
        "passed": verdict.passed,
        "findings": verdict.findings,
    }


def _gate(verdict: GateVerdict) -> None:
    say(f"{verdict.challenger} challenges {verdict.champion}: {'passed' if verdict.passed else 'NOT passed'}")
    lines = gate_lines(verdict)
    say_table(tuple(lines[0]), (tuple(line.values()) for line in lines))


def _standing(name: str, now: Standing, as_json: bool) -> None:
    if as_json:
        say_json({"name": name, "champion": now.champion, "challenger": now.challenger, "past": now.past})
        return
    rival = "no challenger" if now.challenger is None else f"challenger {name}@{now.challenger}"
    say(f"champion {name}@{now.champion}, {rival}")
