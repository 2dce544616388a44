"""Every page, both languages: it answers, it is guarded, it is translated, it holds no inline code."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, Response
from fastapi.testclient import TestClient

from dashboards.app import build_inner
from dashboards.guard import CONTENT_SECURITY_POLICY
from dashboards.language import Language
from dashboards.menu import Screen
from dashboards.pages import PAGES
from dashboards.visit import Visit, page, visit

MENU = tuple(screen for screen in PAGES if screen.path)
PATHS = (
    *(screen.path for screen in MENU),
    "/?show=zone-d",
    "/?show=unknown",
    "/?area=Cooling",
    "/alarms?show=all",
    "/alarms/pump-001:bearing_outer:1",
    "/machines/pump-001",
    "/machines/pump-001?tab=spectrum",
    "/machines/pump-001?tab=waveform",
    "/machines/pump-001?tab=waterfall",
    "/machines/pump-001?tab=why",
    "/machines/pump-001?tab=history",
    "/machines/fan-012",
    "/energy?period=7d",
    "/sign-in",
)


class Seen(HTMLParser):
    """What a page must not have, and what every page must."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.hosts: list[str] = []
        self.ids: list[str] = []
        self.unlabelled: list[str] = []
        self.forms = 0
        self.nested = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.inline += [
            f"{tag} {name}" for name in found if name == "style" or name.startswith(("on", "hx-on"))
        ]
        if tag == "style" or (tag == "script" and "src" not in found):
            self.inline.append(tag)
        for name in ("src", "href", "action", "hx-get", "hx-post"):
            value = found.get(name) or ""
            if value.startswith(("http://", "https://", "//")) and "noreferrer" not in (
                found.get("rel") or ""
            ):
                self.hosts.append(value)
        if "id" in found:
            self.ids.append(found["id"] or "")
        if tag == "form":
            self.nested = self.nested or self.forms > 0
            self.forms += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.forms -= 1


@pytest.mark.parametrize("language", ["id", "en"])
@pytest.mark.parametrize("path", PATHS)
def test_every_page_answers_guarded_and_without_inline_code(screens: Any, path: str, language: str) -> None:
    screens.house.ledger.advance()
    screens.sign_in()
    screens.client.cookies.set("mitra_language", language)
    answer = screens.client.get(path)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert f'<html lang="{language}"' in answer.text
    seen = Seen()
    seen.feed(answer.text)
    assert seen.inline == []
    assert seen.hosts == []
    assert not seen.nested, "a form inside a form is dropped by browsers"
    assert len(seen.ids) == len(set(seen.ids)), sorted({one for one in seen.ids if seen.ids.count(one) > 1})


def rows_of_menu(text: str) -> list[tuple[str, bool, str]]:
    """Of each row: where it leads, whether it is the page's own, its label. Without a drawing it is none."""
    row = (
        r'<li><a href="([^"]+)"( aria-current="page")?><svg[^>]*><(?:path|circle).*?</svg>'
        r'<span class="nav-label">([^<]+)<'
    )
    menu = text.partition('<nav class="nav"')[2].partition("</nav>")[0]
    return [(path, bool(own), label) for path, own, label in re.findall(row, menu)]


def title_of(text: str) -> str:
    return text.partition("<title>")[2].partition(" · ")[0]


@pytest.mark.parametrize("language", ["id", "en"])
@pytest.mark.parametrize("screen", MENU, ids=lambda screen: screen.path)
def test_menu_and_title_follow_the_rows_of_the_table(screens: Any, screen: Screen, language: str) -> None:
    reader: Language = screens.house.language(language)
    text = screens.client.get(f"{screen.path}?lang={language}").text
    assert rows_of_menu(text) == [(one.path, one is screen, reader.say(one.label)) for one in MENU]
    assert title_of(text) == reader.say(screen.label)


def test_a_page_below_a_screen_belongs_to_it_and_one_machine_to_none(screens: Any) -> None:
    own = {
        path: own
        for path, own, _ in rows_of_menu(screens.client.get("/alarms/pump-001:bearing_outer:1").text)
    }
    assert [path for path in own if own[path]] == ["/alarms"]
    machine = rows_of_menu(screens.client.get("/machines/pump-001").text)
    assert len(machine) == len(MENU)
    assert not any(own for _, own, _ in machine)


def test_a_new_screen_is_its_file_and_its_row(screens: Any) -> None:
    router = APIRouter()

    @router.get("/water")
    def water(found: Annotated[Visit, Depends(visit)]) -> Response:
        return page(found, "overview.html", main="12 m³")

    app = build_inner(screens.house, (*PAGES, Screen(router, "/water", "gauge", "Water")))
    client = TestClient(app, base_url="http://127.0.0.1:8080")
    text = client.get("/water").text
    assert "12 m³" in text
    assert title_of(text) == "Water"
    assert rows_of_menu(text)[-1] == ("/water", True, "Water")
    assert rows_of_menu(client.get("/oee").text)[-1] == ("/water", False, "Water")


@pytest.mark.parametrize("row", [("/water", "", "Water"), ("/water", "gauge", ""), ("", "gauge", "Water")])
def test_half_a_row_of_the_menu_is_refused(row: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="a path, an icon and a label"):
        Screen(APIRouter(), *row)


def test_numbers_money_and_dates_are_written_the_reader_s_way(screens: Any) -> None:
    screens.house.ledger.advance()
    page = screens.client.get("/energy?lang=id").text
    assert re.search(r"Rp\d{1,3}(\.\d{3})*,\d\d\b", page)
    assert not re.search(r"Rp[\d,]+\.\d\d\b", page)
    assert "Selasa, 24 Nov 2026 10.05" in screens.client.get("/?lang=id").text
    english = screens.client.get("/energy?lang=en").text
    assert re.search(r"Rp\d{1,3}(,\d{3})*\.\d\d\b", english)
    assert "Tuesday, 24 Nov 2026 10:05" in screens.client.get("/?lang=en").text
    assert re.search(r"5,\d\d\u00a0mm/s", screens.client.get("/?lang=id").text)


def test_unknown_and_unrated_machines_are_never_drawn_as_healthy(screens: Any) -> None:
    page = screens.client.get("/?lang=en").text
    silent = page.split('href="/machines/fan-012" data-machine')[1].split("</a>")[0]
    assert 'data-level="unknown"' in silent
    assert 'data-zone="?"' in silent
    assert ">Unknown<" in silent
    unrated = page.split('href="/machines/compressor-004" data-machine')[1].split("</a>")[0]
    assert 'data-zone="?"' in unrated


def test_the_most_urgent_machine_stands_first(screens: Any) -> None:
    needs = screens.client.get("/?lang=en").text.split('id="needs"')[1].split("</section>")[0]
    assert re.findall(r'<li class="need" data-machine="([^"]+)"', needs)[0] == "pump-001"


def test_the_machine_page_says_which_cursors_are_missing(screens: Any) -> None:
    page = screens.client.get("/machines/fan-002?tab=spectrum&lang=en").text
    assert "bearing is not declared or not known" in page
    assert 'data-cursor="bpfo" aria-pressed="false" disabled' in page
    with_bearing = screens.client.get("/machines/pump-001?tab=spectrum&lang=en").text
    assert "disabled" not in with_bearing


def test_the_machine_page_takes_a_verdict_in_one_tap(screens: Any) -> None:
    screens.sign_in()
    page = screens.client.get("/machines/pump-001?lang=en").text
    do = page.split("What to do")[1].split("</section>")[0]
    assert 'hx-post="/alarms/pump-001:bearing_outer:1/verdict"' in do
    assert all(word in do for word in ("Acknowledge", "Confirmed", "False alarm", "Not sure"))


def test_a_stale_plant_says_so(screens: Any) -> None:
    assert screens.house.hub.moment.picture.counts(screens.clock(), 10).stale == 0
    screens.clock.ns += 60_000_000_000
    page = screens.client.get("/?show=stale&lang=en").text
    assert 'data-machine="pump-001"' in page


def test_looking_can_demand_a_name(closed_screens: Any) -> None:
    client = closed_screens.client
    assert client.get("/").status_code == 401
    assert client.get("/sign-in").status_code == 200
    assert client.post("/sign-in", data={"name": "Budi", "word": "a long password"}).status_code == 200
    assert client.get("/").status_code == 200


def test_errors_are_pages_for_people_and_problem_details_for_programs(screens: Any) -> None:
    page = screens.client.get("/machines/nothing-here?lang=en")
    assert page.status_code == 404
    assert "This does not exist" in page.text
    problem = screens.client.get("/api/machines/nothing-here?lang=en")
    assert problem.headers["content-type"] == "application/problem+json"
    body = problem.json()
    assert body["status"] == 404
    assert body["correlation_id"] == problem.headers["x-correlation-id"]
    assert screens.client.get("/no/such/page").status_code == 404
    assert screens.client.get("/alarms?before=x").status_code == 400
    assert screens.client.get("/alarms?show=everything").status_code == 422


def test_a_refused_form_leads_back_to_its_page_and_not_to_its_own_address(screens: Any) -> None:
    refused = screens.client.post("/alarms/pump-001:bearing_outer:1/shelve?lang=en", data={"token": "stale"})
    assert refused.status_code == 422
    assert 'href="/alarms/pump-001:bearing_outer:1">Try again' in refused.text
    assert "/shelve" not in refused.text


def test_health_and_metrics_tell_how_it_stands(screens: Any) -> None:
    health = screens.client.get("/healthz")
    assert health.status_code == 200
    assert health.json()["journal_readable"] is True
    metrics = screens.client.get("/metrics").text
    assert 'mitra_machines{zone="D"} 1.0' in metrics
    assert "mitra_alarms_calling 2.0" in metrics
    assert 'mitra_journal_total{name="refused_oversize"} 1.0' in metrics
    assert (
        'mitra_screens_requests_total{route="/healthz",status="200"}' in screens.client.get("/metrics").text
    )


def test_the_code_on_the_machine_opens_its_page(screens: Any) -> None:
    code = screens.client.get("/machines/pump-001/qr.svg")
    assert code.headers["content-type"] == "image/svg+xml"
    assert code.text.startswith("<?xml")


def test_static_files_may_be_kept_for_ever_only_under_their_hash(screens: Any) -> None:
    page = screens.client.get("/").text
    address = re.search(r'href="(/static/mitra\.css\?v=[0-9a-f]{12})"', page)
    assert address is not None
    assert "immutable" in screens.client.get(address[1]).headers["cache-control"]
    assert screens.client.get("/static/mitra.css").headers["cache-control"] == "no-cache"
    assert screens.client.get("/static/../__init__.py").status_code == 404
