"""Who may act: local accounts with argon2 hashes, three roles, and a brake on guessing.

Roles are a table; what a role may not do is missing from it. Approving a stop is not here at all: that is
the control service's, with keys of its own.
"""

from __future__ import annotations

import threading
import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import argon2
import msgspec

from ingest.contract.actions import MODEL_KINDS, ActionKind
from ingest.contract.explain import explained, unreadable

HASHER = argon2.PasswordHasher()
MAX_ACCOUNTS = 2_000
MAX_GUESSES = 5
GUESS_WINDOW_NS = 60_000_000_000
MAX_BRAKES = 10_000


class Role(StrEnum):
    """Three people, three views of the same plant."""

    TECHNICIAN = "technician"
    DATA_SCIENTIST = "data_scientist"
    ENERGY_MANAGER = "energy_manager"


MAY: dict[Role, frozenset[ActionKind]] = {
    Role.TECHNICIAN: frozenset(ActionKind) - MODEL_KINDS,
    Role.DATA_SCIENTIST: frozenset(
        {ActionKind.VERDICT, ActionKind.MAINTENANCE, ActionKind.CLOCK_RELEASE, ActionKind.UNDO}
    )
    | MODEL_KINDS,
    Role.ENERGY_MANAGER: frozenset({ActionKind.DOWNTIME_REASON, ActionKind.UNDO}),
}


class AccountError(ValueError):
    """The accounts file cannot be used; the message says why and what to do."""


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[user]]` of the accounts file. word_hash: argon2id of the password."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    role: Role
    word_hash: Annotated[str, msgspec.Meta(pattern=r"^\$argon2id\$")]
    shown: Annotated[str, msgspec.Meta(max_length=80)] = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: Annotated[tuple[Account, ...], msgspec.Meta(max_length=MAX_ACCOUNTS)] = ()


def parse_accounts(text: str, source: str = "the accounts file") -> dict[str, Account]:
    """Accounts by name. Raises AccountError."""
    try:
        users = msgspec.convert(tomllib.loads(text), _File).user
    except tomllib.TOMLDecodeError as error:
        raise AccountError(unreadable(source, error)) from error
    except msgspec.ValidationError as error:
        raise AccountError(
            f"{source}: {explained(error, _File)}; write [[user]] with name, role and word_hash"
        ) from error
    by_name = {user.name: user for user in users}
    if len(by_name) != len(users):
        raise AccountError(f"{source}: a name stands there twice; give each person a name of their own")
    return by_name


def hash_word(word: str) -> str:
    """The argon2id hash that goes into the accounts file. Raises ValueError below 8 characters."""
    if len(word) < 8:
        raise ValueError("a password needs at least 8 characters")
    return HASHER.hash(word)


# Checked for names that do not exist, so that the time an answer takes tells nothing.
NOBODY_HASH = HASHER.hash("no such person")


def word_matches(account: Account | None, word: str) -> bool:
    """Whether this password opens this account (about 30 ms on purpose)."""
    try:
        HASHER.verify(account.word_hash if account else NOBODY_HASH, word)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
    return account is not None


@dataclass(slots=True)
class GuessBrake:
    """Counts wrong passwords by name: after five in a minute the name waits."""

    wrong: dict[str, list[int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def may_guess(self, name: str, now_ns: int) -> bool:
        """Take one of this name's guesses, before the password is looked at; False when none is left.

        Whoever asks at once takes one each: many who guess together have no more than one who guesses alone.
        """
        with self._lock:
            recent = [at for at in self.wrong.pop(name, []) if now_ns - at < GUESS_WINDOW_NS]
            is_free = len(recent) < MAX_GUESSES
            self.wrong[name] = [*recent, now_ns] if is_free else recent
            while len(self.wrong) > MAX_BRAKES:  # the oldest names are forgotten first
                self.wrong.pop(next(iter(self.wrong)))
            return is_free

    def was_right(self, name: str, now_ns: int) -> None:
        """Give back the guess that was taken at now_ns."""
        with self._lock:
            if now_ns in self.wrong.get(name, ()):
                self.wrong[name].remove(now_ns)
