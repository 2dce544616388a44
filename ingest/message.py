"""What the gate asks of one message: can its times be, how they move, what its re-sends share. Pure."""

from __future__ import annotations

import math
import struct
from hashlib import blake2b

from msgspec import structs

from ingest.contract.values import Gap, Message

END_OF_TIME_NS = 4_102_444_800 * 10**9
"""The year 2100."""


def impossible(content: Message | Gap) -> str:
    """Why the times in it cannot be those of any clock, or ""."""
    if isinstance(content, Gap):
        believable = 0 <= content.to_ns < END_OF_TIME_NS
    else:
        believable = content.time_ns < END_OF_TIME_NS
        for scalar in content.scalars:
            believable = believable and 0 <= scalar.time_ns < END_OF_TIME_NS
        for waveform in content.waveforms:
            believable = believable and waveform.start_ns < END_OF_TIME_NS
    return "" if believable else "time_impossible"


def corrected(message: Message, offset_ns: int) -> Message:
    """The message with its times moved by offset_ns."""
    if offset_ns == 0:
        return message
    return structs.replace(
        message,
        time_ns=max(0, message.time_ns + offset_ns),
        waveforms=tuple(
            structs.replace(one, start_ns=max(0, one.start_ns + offset_ns)) for one in message.waveforms
        ),
        scalars=tuple(structs.replace(one, time_ns=one.time_ns + offset_ns) for one in message.scalars),
    )


def digest(message: Message) -> int:
    """64 bits that two sends of the same reading share: device time, channels, values, first samples."""
    said = blake2b(struct.pack("<Q", message.time_ns & (1 << 64) - 1), digest_size=8)
    for scalar in message.scalars:
        value = 0.0 if math.isnan(scalar.value) else scalar.value
        said.update(scalar.channel.encode("utf-8", "surrogatepass"))
        said.update(struct.pack("<dq", value, scalar.time_ns))
    for waveform in message.waveforms:
        said.update(waveform.axis.encode())
        said.update(struct.pack("<dqq", waveform.rate_hz, waveform.start_ns, waveform.n_samples))
        said.update(bytes(waveform.samples[:256]))
    return int.from_bytes(said.digest(), "little", signed=True)
