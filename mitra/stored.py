"""What a plant's data folder holds, opened for reading."""

from __future__ import annotations

from pathlib import Path

from ingest.desk import Desk
from ingest.journal.schema import JournalError
from ingest.reader import Reader
from mitra.exits import PersonError
from mitra.layout import Layout
from models.labels.book import LabelBook


def book_of_desk(path: Path) -> LabelBook:
    """Every verdict of the desk folded into a book; an absent desk is an empty book."""
    book, cursor = LabelBook(), 0
    if not path.exists():
        return book
    desk = Desk(path)
    try:
        while True:
            cursor, actions = desk.since(cursor)
            if not actions:
                return book
            for action in actions:
                book = book.hear(action)
    finally:
        desk.close()


def reader_of(data: Path) -> Reader:
    """The journal and history of a plant. Raises PersonError when nothing was ever stored there."""
    layout = Layout(data)
    if not layout.journal.exists():
        raise PersonError(
            "setting",
            f"{data} holds no plant's data ({layout.journal} is missing). Name the folder of `mitra serve`.",
        )
    try:
        return Reader(layout.journal, layout.history)
    except JournalError as error:
        raise PersonError("setting", str(error)) from error
