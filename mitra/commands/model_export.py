"""`mitra model export`: a signed model for other people's tools."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Annotated

import typer

from mitra.commands.speech import AsJson, DataFolder, say, say_json, target
from mitra.exits import PersonError
from mitra.layout import Layout, writing
from models.registry import RefusedError, Registry, UntrustedModelError

FORMS = {"mlflow": "models.exchange.mlflow_model"}
# A plant's server tells nobody what it does, and a model is no copy of the project around it.
SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_UV_AUTO_DETECT": "false"}


def export(
    version: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="As `mitra model list` prints it.")],
    data: DataFolder,
    mlflow: Annotated[Path, typer.Option(help="A new folder for an MLflow model.")],
    as_json: AsJson = False,
) -> None:
    """Write a version as an MLflow model: `mlflow.pyfunc.load_model(FOLDER).predict(table)` scores rows.

    No pickle is written. Needs the extra `mlflow`: pip install 'ayo-mitra[server,mlflow]'.

    Example: `mitra model export isolation-forest@2 --data plant-data --mlflow forest-2`
    """
    name, _, number = version.partition("@")
    if not name or not number.isdecimal():
        raise PersonError("setting", f"A version is written as bearings@3, got {version!r}.")
    target(mlflow)
    registry = Registry(Layout(data).registry)
    os.environ.update(SILENT)
    try:
        form = importlib.import_module(FORMS["mlflow"])
    except ModuleNotFoundError as error:
        raise PersonError(
            "missing",
            f"{error.name} is not installed, so nothing was exported. "
            "Install it with: pip install 'ayo-mitra[server,mlflow]'.",
        ) from error
    try:
        with writing(mlflow):
            form.save(registry, name, int(number), mlflow)
    except (RefusedError, UntrustedModelError) as error:
        raise PersonError("check", str(error)) from error
    if as_json:
        say_json({"model": version, "out": str(mlflow)})
    else:
        say(f"{version} -> {mlflow}")
