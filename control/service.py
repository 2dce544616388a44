"""Control put together: desks, sessions, audit and HTTP around one clock and one way out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI

from control.audit import Audit, Checkpoint
from control.config import ControlSettings
from control.desk import Desk
from control.edge_keys import EdgeKeys
from control.keyfile import load_or_make_key
from control.rosters import RosterView
from control.routes import make_app
from control.sessions import Sessions
from control.store import Store
from control.web import Http
from ingest.contract.approval.topics import Leaf, parse_control_topic, parse_request_topic
from ingest.contract.rejected import Rejected

LOG_ID = "control"


class Service:
    """Everything but sockets. say(site, edge, leaf, data) publishes; on_message takes what comes."""

    def __init__(
        self,
        settings: ControlSettings,
        say: Callable[[str, str, Leaf, bytes], None],
        now_s: Callable[[], int],
    ) -> None:
        """Open the files and end what an earlier life left pending."""
        folder = Path(settings.state_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self._now_s = now_s
        self.store = Store(folder / "control.sqlite")
        key = load_or_make_key(folder / "audit.key")
        self.audit = Audit(folder / "audit.sqlite", LOG_ID, key)
        (folder / "audit.pub.json").write_bytes(self.audit.public.to_bytes())
        self.edge_keys = EdgeKeys(settings.edge)
        self.desks = {site.id: self._desk(site.id, say) for site in settings.site}
        self.sessions = Sessions(settings.session_s, settings.session_idle_s)
        self.refused: Counter[str] = Counter()
        self._checkpoint_due = 0
        self.http = Http(
            settings,
            self.desks,
            self.sessions,
            audit=self.audit,
            now_s=now_s,
            metrics=self.metrics,
            not_served=self.edge_keys.missing,
        )

    def _desk(self, site: str, say: Callable[[str, str, Leaf, bytes], None]) -> Desk:
        one = next(found for found in self.settings.site if found.id == site)
        return Desk(
            site,
            self.settings,
            self.store,
            audit=self.audit,
            roster=RosterView(Path(one.roster_dir), Path(one.roster_root), site),
            edge_key=lambda edge: self.edge_keys.key(site, edge),
            now_s=self._now_s,
            say=lambda edge, leaf, data: say(site, edge, leaf, data),
        )

    def app(self) -> FastAPI:
        """The HTTP application."""
        return make_app(self.http)

    def topics(self) -> list[tuple[str, str, str]]:
        """What to subscribe: (site, edge or "", leaf or "requests"); no wildcard, so no foreign site."""
        wanted = [(site.id, "", "requests") for site in self.settings.site]
        for edge in self.settings.edge:
            wanted += [(edge.site, edge.id, leaf) for leaf in (Leaf.TICKET, Leaf.RECEIPT)]
        return wanted

    def on_message(self, topic: str, data: bytes) -> Rejected | None:
        """Take one message. Topics of foreign sites and edges are refused and counted."""
        wrong = self._take(topic, data)
        if wrong is not None:
            self.refused[wrong.reason] += 1
        return wrong

    def _take(self, topic: str, data: bytes) -> Rejected | None:
        site = parse_request_topic(topic)
        if isinstance(site, str):
            desk = self.desks.get(site)
            return Rejected("foreign_topic") if desk is None else desk.on_request(data)
        found = parse_control_topic(topic)
        if isinstance(found, Rejected):
            return found
        site, edge, leaf = found
        if (site, edge) not in {(one.site, one.id) for one in self.settings.edge}:
            return Rejected("foreign_topic")
        if leaf is Leaf.TICKET:
            return self.desks[site].on_ticket(edge, data)
        if leaf is Leaf.RECEIPT:
            return self.desks[site].on_receipt(edge, data)
        return Rejected("foreign_topic")

    def on_connected(self) -> None:
        """The link is there (again)."""
        for desk in self.desks.values():
            desk.on_connected()

    def tick(self) -> Checkpoint | None:
        """Let time pass; returns a checkpoint that witnesses have not seen yet."""
        for desk in self.desks.values():
            desk.tick()
        now = self._now_s()
        for site, edge in self.edge_keys.look_again(now):
            self.desks[site].on_served(edge)
        if now < self._checkpoint_due:
            return None
        self._checkpoint_due = now + self.settings.checkpoint_s
        return self.audit.checkpoint(now)

    def metrics(self) -> str:
        """Counters in Prometheus text form."""
        lines = ["# TYPE mitra_control_events_total counter"]
        for site, desk in self.desks.items():
            for name, count in sorted(desk.counts.items()):
                lines.append(f'mitra_control_events_total{{site="{site}",event="{name}"}} {count}')
        lines.append("# TYPE mitra_control_refused_total counter")
        lines += [f'mitra_control_refused_total{{code="{n}"}} {c}' for n, c in sorted(self.refused.items())]
        lines.append("# TYPE mitra_control_edge_not_served gauge")
        for site, edge in self.edge_keys.missing():
            lines.append(f'mitra_control_edge_not_served{{site="{site}",edge="{edge}"}} 1')
        lines += [
            "# TYPE mitra_control_audit_entries gauge",
            f"mitra_control_audit_entries {self.audit.size}",
        ]
        return "\n".join(lines) + "\n"

    def close(self) -> None:
        """Close the files."""
        self.store.close()
        self.audit.close()
