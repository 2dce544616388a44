"""What people said of a plant's machines, weighed; and who vouched for what was doubted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ingest.reader import Reader
from mitra.exits import PersonError
from mitra.layout import Layout, writing
from mitra.stored import book_of_desk
from models.labels import Label, Release, Seen, Weighed, weigh

JUDGEMENTS_A_LABEL = 10_000
Answers = Callable[[Sequence[Label]], Mapping[str, tuple[int, int]]]


def weighed_of(reader: Reader | None, data: Path, answered: Answers = lambda _: {}) -> tuple[Weighed, ...]:
    """Weigh the desk's labels by what the stream judged at their time, by how people answer golden cases, and
    by who vouched. reader: None where no stream ever judged; answered: person -> golden cases asked, right.
    """

    def seen(label: Label) -> Seen | None:
        said = (
            reader.judgements(label.machine, label.from_ns, label.to_ns + 1, JUDGEMENTS_A_LABEL)
            if reader is not None
            else ()
        )
        if not said:
            return None
        return Seen(min(one.health for one in said), max(one.score for one in said))

    layout = Layout(data)
    held = book_of_desk(layout.desk).current()
    return weigh(
        held,
        seen,
        golden_answers=answered(held),
        releases=read_vouched(layout.vouched),
    )


def read_vouched(path: Path) -> tuple[Release, ...]:
    """Who vouched for which doubted label, oldest first. Raises PersonError when the file is damaged."""
    if not path.exists():
        return ()
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        return tuple(Release(line["label_id"], line["by"], line["reason"]) for line in lines)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PersonError(
            "setting",
            f"{path} cannot be read ({error!r}), so no doubted verdict counts as vouched for. Mend or "
            "remove it.",
        ) from error


def vouch(path: Path, releases: Sequence[Release], now_ns: int) -> None:
    """Write down that a person vouches. Raises PersonError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = "".join(json.dumps({**asdict(one), "time_ns": now_ns}) + "\n" for one in releases)
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
