"""Files of one line a record: a line counts once it has ended.

Whoever reads while another one appends, or after a power cut, meets half a line: it is not there yet, or
never was.
"""

from __future__ import annotations


def whole_size(data: bytes) -> int:
    r"""Bytes up to the end of the last line that has ended: where the next one belongs.

    >>> whole_size(b"one\ntwo\nthr")
    8
    """
    return data.rfind(b"\n") + 1


def whole_lines(data: bytes) -> list[bytes]:
    r"""The lines that have ended.

    >>> whole_lines(b"one\ntwo\nthr")
    [b'one', b'two']
    """
    return [line for line in data[: whole_size(data)].split(b"\n") if line]
