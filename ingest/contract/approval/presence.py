"""The presence code: six digits shown only at the machine, the last one a check digit against mistyping."""

from __future__ import annotations

CODE_DIGITS = 6
# A totally anti-symmetric quasigroup: catches every single wrong digit and every swap of neighbours.
# Source: H. M. Damm, "Total anti-symmetrische Quasigruppen", Marburg 2004.
_DAMM = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)


def _check_digit(digits: str) -> int:
    state = 0
    for digit in digits:
        state = _DAMM[state][int(digit)]
    return state


def presence_code(number: int) -> str:
    """The code of a random number in [0, 100000).

    >>> presence_code(57204), is_presence_code("572047"), is_presence_code("572074")
    ('572047', True, False)
    """
    digits = f"{number:05d}"
    if not 0 <= number < 10 ** (CODE_DIGITS - 1):
        raise ValueError(f"number must be in [0, 100000), got {number}")
    return f"{digits}{_check_digit(digits)}"


def is_presence_code(text: str) -> bool:
    """True when text could be a code, so that a typing error is caught before anybody signs it."""
    return len(text) == CODE_DIGITS and text.isascii() and text.isdigit() and _check_digit(text) == 0
