"""The registry: signed, versioned models in a folder; a gate and a person between challenger and champion."""

from models.registry.gate import Evaluation, Finding, GatePolicy, GateVerdict, GoldenCase, Tally, judge
from models.registry.history import Alias, Event, RefusedError, Standing, Step
from models.registry.manifest import FileEntry, Manifest, ManifestError, Metric
from models.registry.signing import Signer, UntrustedModelError
from models.registry.store import Listed, Model, Registry

__all__ = [
    "Alias",
    "Evaluation",
    "Event",
    "FileEntry",
    "Finding",
    "GatePolicy",
    "GateVerdict",
    "GoldenCase",
    "Listed",
    "Manifest",
    "ManifestError",
    "Metric",
    "Model",
    "RefusedError",
    "Registry",
    "Signer",
    "Standing",
    "Step",
    "Tally",
    "UntrustedModelError",
    "judge",
]
