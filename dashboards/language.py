"""Words, numbers, money and dates in Bahasa Indonesia and English.

The English sentence in code or template is the key; `locale/id/LC_MESSAGES/dashboards.po` holds the
translations and is read as it is, so nothing has to be compiled. A sentence that is missing there is
shown in English and fails a test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from babel.numbers import get_currency_symbol

LANGUAGES = {"id": "Bahasa Indonesia", "en": "English"}
LOCALES = {"id": "id", "en": "en_GB"}
CURRENCY_SYMBOLS = {"IDR": "Rp"}
LOCALE_DIR = Path(__file__).parent / "locale"
NO_VALUE = "–"
SWAP_SEPARATORS = str.maketrans(",.", ".,")
NO_BREAK = "\u00a0"


def marked(message: str) -> str:
    """Mark a sentence for translation without translating it yet (extraction looks for this name)."""
    return message


N_ = marked


@cache
def catalog(language: str) -> Catalog:
    """The catalogue of one language; English needs none."""
    path = LOCALE_DIR / language / "LC_MESSAGES" / "dashboards.po"
    if not path.is_file():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


@cache
def _sentences(language: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for message in catalog(language):
        if not message.id or message.fuzzy:
            continue
        key = message.id if isinstance(message.id, str) else message.id[0]
        text = message.string if isinstance(message.string, str) else (message.string or ("",))[0]
        if text:
            found[key] = text
    return found


@dataclass(frozen=True, slots=True)
class Language:
    """One reader's language, with the plant's time zone and currency.

    >>> here = Language("id", ZoneInfo("Asia/Jakarta"), "IDR")
    >>> here.money(1234567), here.number(9.42, 2), here.when(1795489500_000_000_000)
    ('Rp1.234.567,00', '9,42', 'Selasa, 24 Nov 2026 10.05')
    """

    code: str
    zone: ZoneInfo
    currency: str = "IDR"

    def __post_init__(self) -> None:
        if self.code not in LANGUAGES:
            raise ValueError(f"language must be one of {sorted(LANGUAGES)}, got {self.code!r}")

    @property
    def locale(self) -> str:
        """Babel's name of the locale."""
        return LOCALES[self.code]

    def say(self, message: str) -> str:
        """A sentence in this language."""
        return _sentences(self.code).get(message, message)

    def count(self, one: str, many: str, n: int) -> str:
        """A counted sentence; Indonesian has one form."""
        if self.code == "en":
            return one if n == 1 else many
        return _sentences(self.code).get(one, one if n == 1 else many)

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with this many decimals; a dash when there is none."""
        if value is None or not math.isfinite(value):
            return NO_VALUE
        # Thousands of these are written a second; Babel's general formatter is forty times slower.
        text = f"{round(value, digits) + 0.0:,.{digits}f}"
        return text if self.code == "en" else text.translate(SWAP_SEPARATORS)

    def unit(self, value: float | None, unit: str, digits: int = 0) -> str:
        """A number and its unit that never part at a line's end."""
        if value is None or not math.isfinite(value):
            return NO_VALUE
        return f"{self.number(value, digits)}{NO_BREAK}{unit}"

    def money(self, value: float | None, digits: int = 2) -> str:
        """An amount in the plant's currency."""
        if value is None or not math.isfinite(value):
            return NO_VALUE
        symbol = CURRENCY_SYMBOLS.get(self.currency) or get_currency_symbol(self.currency, self.locale)
        sign = "-" if round(value, digits) < 0 else ""
        return f"{sign}{symbol}{self.number(abs(value), digits)}"

    def percent(self, share: float | None, digits: int = 0) -> str:
        """A share in [0, 1] as a percentage."""
        if share is None or not math.isfinite(share):
            return NO_VALUE
        return f"{self.number(share * 100, digits)}{NO_BREAK}%"

    def local(self, time_ns: int) -> datetime:
        """A time of the journal on the plant's clock."""
        return datetime.fromtimestamp(time_ns / 1e9, UTC).astimezone(self.zone)

    def when(self, time_ns: int | None) -> str:
        """Day, date and time, as `Selasa, 24 Nov 2026 10.05`."""
        if not time_ns:
            return NO_VALUE
        pattern = "EEEE, d MMM y HH.mm" if self.code == "id" else "EEEE, d MMM y HH:mm"
        text: str = format_datetime(self.local(time_ns), pattern, locale=self.locale)
        return text

    def clock(self, time_ns: int | None) -> str:
        """The time of day with seconds."""
        if not time_ns:
            return NO_VALUE
        return self.local(time_ns).strftime("%H.%M.%S" if self.code == "id" else "%H:%M:%S")

    def day(self, day: date) -> str:
        """A calendar day, as `24 Nov 2026`."""
        text: str = format_date(day, "d MMM y", locale=self.locale)
        return text

    def days(self, first: date, last: date) -> str:
        """A period of whole days; one day is named once."""
        return self.day(first) if first == last else f"{self.day(first)} – {self.day(last)}"

    def until(self, from_ns: int, to_ns: int) -> str:
        """The end of something: its time of day, with the day where that is another one."""
        same_day = self.local(from_ns).date() == self.local(to_ns).date()
        return self.clock(to_ns) if same_day else self.when(to_ns)

    def time_of_day(self, text: str) -> str:
        """A time as the plant file has it (`18:00`), written as readers write it."""
        return text.replace(":", ".") if self.code == "id" else text

    def span(self, seconds: float | None) -> str:
        """A length of time in its largest sensible unit, as `3 h` or `2 days`."""
        if seconds is None or not math.isfinite(seconds):
            return NO_VALUE
        whole = timedelta(seconds=max(0.0, seconds)).total_seconds()
        for size, limit, unit in SPANS:
            if whole < limit:
                return f"{self.number(whole / size, 0)}{NO_BREAK}{self.say(unit)}"
        return NO_VALUE


SPANS: tuple[tuple[float, float, str], ...] = (
    (1, 120, N_("s")),
    (60, 7_200, N_("min")),
    (3_600, 172_800, N_("h")),
    (86_400, math.inf, N_("days")),
)
