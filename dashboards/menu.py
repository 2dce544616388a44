"""What a screen is to the rest of the house: its routes and, for most, its row in the menu."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter


@dataclass(frozen=True, slots=True)
class Screen:
    """path: where the menu leads; icon: a name of `parts.html`; label: a sentence, also the page's title.

    Without a path (one machine, the doors) it stands in no menu, and its template names its own title.
    """

    router: APIRouter
    path: str = ""
    icon: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        if bool(self.path) != bool(self.icon and self.label):
            raise ValueError(f"a row of the menu has a path, an icon and a label, got {self}")

    def holds(self, path: str) -> bool:
        """Whether this page is the screen's own or stands below it.

        >>> alarms = Screen(APIRouter(), "/alarms", "bell", "Alarms")
        >>> alarms.holds("/alarms/a:b:1?lang=id"), alarms.holds("/alarmsystems"), alarms.holds("/")
        (True, False, False)
        >>> Screen(APIRouter(), "/", "home", "Overview").holds("/alarms")
        False
        """
        page = path.split("?", 1)[0]
        return page == self.path or (len(self.path) > 1 and page.startswith(f"{self.path}/"))
