"""Which channels each machine has ever sent, under which alias: what the birth certificates declare.

Sensors do not announce their channels; they are met when the first message carries them. Aliases are
unique in the node and kept with the outbox, because stored messages speak in aliases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ingest.contract import channels as ch
from ingest.contract.limits import MAX_BIRTH_METRICS, MAX_METRICS
from ingest.contract.metrics import Channel, DataType
from ingest.contract.payload import ARRAY_TYPES, Birth, birth_of
from ingest.contract.rejected import Rejected
from ingest.contract.values import Message

# Metrics of our own that data messages name in full; they are rare, and an alias each for every machine
# would make births twice as large.
UNALIASED = (
    Channel(ch.GAP_FROM, DataType.UINT64),
    Channel(ch.GAP_TO, DataType.UINT64),
    Channel(ch.GAP_MESSAGES, DataType.UINT64),
    Channel(ch.GAP_REASON, DataType.STRING),
    Channel(ch.THINNED, DataType.UINT64),
)
_KEY_CHANNELS = ((ch.BOOT, DataType.UINT64), (ch.SEQ, DataType.UINT64))
_OWN_METRICS = len(_KEY_CHANNELS) + len(UNALIASED)
MAX_TELEMETRY_METRICS = MAX_METRICS - len(_KEY_CHANNELS) - 1
"""Channels of one message: the key and the thinning mark travel beside them."""


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One alias: what the outbox stores of a channel."""

    alias: int
    machine: str
    name: str
    datatype: DataType


class Channels:
    """Aliases by machine and channel. Pure: the outbox stores the rows that `admit` returns."""

    def __init__(self, rows: Iterable[ChannelRow] = (), *, by_name: bool = False) -> None:
        self._by_name = by_name
        self._by_machine: dict[str, dict[str, Channel]] = {}
        self._births: dict[str, Birth] = {}
        self._shown: dict[str, dict[str, Channel]] = {}
        self._next_alias = 1
        for row in rows:
            self._add(row)

    def machines(self) -> tuple[str, ...]:
        """Every machine that has a channel."""
        return tuple(self._by_machine)

    def birth(self, machine: str) -> Birth:
        """The machine's channels as `write_message` wants them: aliases, and no rate to lean on.

        by_name: no aliases either, for hosts that cannot read them; certificates declare them all the same,
        because older messages may use them.
        """
        if machine not in self._births:
            own = list(self._by_machine[machine].values())
            written = [replace(channel, alias=None) for channel in own] if self._by_name else own
            self._births[machine] = birth_of(written)
        return self._births[machine]

    def declared(self, machine: str) -> tuple[Channel, ...]:
        """What the machine's birth certificate lists; waveforms with the rate and scale last seen."""
        shown = self._shown.get(machine, {})
        own = self._by_machine.get(machine, {}).values()
        return tuple(shown.get(channel.name, channel) for channel in own) + UNALIASED

    def admit(self, machine: str, message: Message | None) -> tuple[ChannelRow, ...] | Rejected:
        """Rows for channels met for the first time; they count at once. None asks for the key's alone.

        Rejected when a message or its machine has more channels than a certificate may list, when a name
        is used twice or belongs to the protocol, or when a waveform changed its sample type.
        """
        wanted = _wanted(message) if message else []
        known = self._by_machine.get(machine, {})
        if len(wanted) > MAX_TELEMETRY_METRICS:
            return Rejected("too_many_metrics", f"{machine}: {len(wanted)}")
        names = {name for name, _ in wanted}
        if len(names) < len(wanted):
            return Rejected("channel_twice", machine)
        new = [(name, datatype) for name, datatype in wanted if name not in known]
        for name, datatype in wanted:
            if name.startswith(("Mitra/", "Node Control/")) or name == ch.BDSEQ:
                return Rejected("channel_reserved", f"{machine}: {name}")
            if name in known and known[name].datatype is not datatype:
                return Rejected("sample_type_changed", f"{machine}: {name}")
        if not known:
            new = [*_KEY_CHANNELS, *new]
        if len(known) + len(new) + _OWN_METRICS > MAX_BIRTH_METRICS:
            return Rejected("too_many_channels", machine)
        rows = tuple(
            ChannelRow(self._next_alias + i, machine, name, datatype)
            for i, (name, datatype) in enumerate(new)
        )
        for row in rows:
            self._add(row)
        return rows

    def saw(self, message: Message) -> None:
        """Remember rates and scales for the next birth certificate."""
        shown = self._shown.setdefault(message.machine, {})
        for waveform in message.waveforms:
            name = ch.VIBRATION + waveform.axis
            seen = shown.get(name)
            if seen is None or (seen.rate_hz, seen.scale) != (waveform.rate_hz, waveform.scale_g):
                channel = self._by_machine[message.machine][name]
                shown[name] = replace(channel, unit="g", rate_hz=waveform.rate_hz, scale=waveform.scale_g)

    def _add(self, row: ChannelRow) -> None:
        channel = Channel(row.name, row.datatype, row.alias)
        self._by_machine.setdefault(row.machine, {})[row.name] = channel
        self._births.pop(row.machine, None)
        self._next_alias = max(self._next_alias, row.alias + 1)


def _wanted(message: Message) -> list[tuple[str, DataType]]:
    waveforms = [(ch.VIBRATION + one.axis, ARRAY_TYPES[one.sample_type]) for one in message.waveforms]
    return waveforms + [(one.channel, DataType.DOUBLE) for one in message.scalars]
