"""Collect every sentence of the screens into the Indonesian catalogue: `python -m dashboards.extract`.

Sentences that are new stand there untranslated, and a test fails until a person translates them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

HERE = Path(__file__).parent
PO = HERE / "locale" / "id" / "LC_MESSAGES" / "dashboards.po"
KEYWORDS = {"say": None, "N_": None, "count": (1, 2)}
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]


def sentences() -> Catalog:
    """Every sentence in code and templates."""
    catalog = Catalog(project="Mitra", charset="utf-8", fuzzy=False)
    options = {"templates/**.html": {"silent": "false", "trimmed": "true"}}
    for name, line, message, comments, _ in extract_from_dir(str(HERE), METHODS, options, KEYWORDS):
        ids = message if isinstance(message, tuple) else (message,)
        for one in ids:
            if one:
                catalog.add(one, locations=[(name, line)], auto_comments=comments)
    return catalog


def main() -> int:
    """Bring the catalogue up to date; how many sentences wait for a translation goes to stderr."""
    known = Catalog(locale="id")
    if PO.is_file():
        with PO.open("rb") as file:
            known = read_po(file, locale="id")
    known.update(sentences(), no_fuzzy_matching=True)
    known.obsolete.clear()
    known.header_comment = "# Indonesian sentences of Mitra's screens; the English sentence is the key."
    known.project, known.version, known.fuzzy = "ayo-mitra", "1", False
    known.msgid_bugs_address = known.last_translator = known.language_team = ""
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(file, known, width=110, sort_output=True, no_location=True, omit_header=False)
    waiting = sum(1 for message in known if message.id and not message.string)
    print(f"{waiting} sentences wait for a translation", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
