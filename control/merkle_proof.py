"""Growing a stored Merkle tree, and proofs that it only grew (RFC 6962 2.1, RFC 9162 2.1.4).

Pure. `Get(level, index)` gives the stored hash of a complete subtree of 2**level leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from control.merkle import EMPTY_ROOT, node_hash

Get = Callable[[int, int], bytes]
Put = Callable[[int, int, bytes], None]


def append(get: Get, put: Put, size: int, leaf: bytes) -> None:
    """Store leaf number `size` and every subtree that it completes."""
    put(0, size, leaf)
    level, index = 0, size
    while index & 1:
        leaf = node_hash(get(level, index - 1), leaf)
        level, index = level + 1, index >> 1
        put(level, index, leaf)


def range_hash(get: Get, start: int, end: int) -> bytes:
    """The hash over leaves start..end-1, as the tree would have it."""
    count = end - start
    if count == 0:
        return EMPTY_ROOT
    if count & (count - 1) == 0 and start % count == 0:
        return get(count.bit_length() - 1, start // count)
    split = 1 << ((count - 1).bit_length() - 1)
    return node_hash(range_hash(get, start, start + split), range_hash(get, start + split, end))


def consistency_proof(get: Get, old: int, new: int) -> list[bytes]:
    """Hashes that show the first `old` of `new` leaves unchanged (RFC 6962, 2.1.2)."""
    if not 0 <= old <= new:
        raise ValueError(f"need 0 <= old <= new, got {old}, {new}")
    if old in {0, new}:
        return []
    proof: list[bytes] = []
    start, end, whole = 0, new, True
    steps: list[bytes] = []
    while old != end:
        split = 1 << ((end - start - 1).bit_length() - 1)
        if old - start <= split:
            steps.append(range_hash(get, start + split, end))
            end = start + split
        else:
            steps.append(range_hash(get, start, start + split))
            start += split
            whole = False
    if not whole:
        proof.append(range_hash(get, start, end))
    proof.extend(reversed(steps))
    return proof


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """True when proof shows that the tree of `new` leaves extends the one of `old` (RFC 9162, 2.1.4.2)."""
    if old > new or old < 0:
        return False
    if old in {0, new}:
        return not proof and (old == 0 or old_root == new_root)
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old_found = new_found = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            old_found, new_found = node_hash(step, old_found), node_hash(step, new_found)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            new_found = node_hash(new_found, step)
        first, last = first >> 1, last >> 1
    return last == 0 and old_found == old_root and new_found == new_root
