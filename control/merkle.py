"""The Merkle tree of RFC 6962 (section 2.1): hashes and roots, from leaves alone. Standard library only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256 of 0x00 and the entry."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and both children: no inner node can pass for a leaf."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes.

    >>> root_of([]) == EMPTY_ROOT, root_of([leaf_hash(b"a")]) == leaf_hash(b"a")
    (True, True)
    """
    return roots_at(leaves, (len(leaves),))[len(leaves)]


def roots_at(leaves: Sequence[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """The roots over the first `size` leaves, for every size asked for that there are leaves for."""
    wanted, found, peaks = set(sizes), {}, list[tuple[int, bytes]]()
    if 0 in wanted:
        found[0] = EMPTY_ROOT
    for count, leaf in enumerate(leaves, 1):
        level, top = 0, leaf
        while peaks and peaks[-1][0] == level:
            top = node_hash(peaks.pop()[1], top)
            level += 1
        peaks.append((level, top))
        if count in wanted:
            root = peaks[-1][1]
            for _, left in reversed(peaks[:-1]):
                root = node_hash(left, root)
            found[count] = root
    return found
