"""Why something was refused: the closed list of codes. Words for people are in `control.words`."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """A refusal that a receipt, an audit entry and a counter can carry."""

    # The bytes are not a message of ours.
    OVERSIZE = "oversize"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    DUPLICATE_KEY = "duplicate_key"
    NOT_OBJECT = "not_object"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    BAD_FIELD = "bad_field"
    NOT_CANONICAL = "not_canonical"
    # The proposal is not one that may be acted on here and now.
    WRONG_EDGE = "wrong_edge"
    UNKNOWN_MACHINE = "unknown_machine"
    UNKNOWN_TICKET = "unknown_ticket"
    TICKET_MISMATCH = "ticket_mismatch"
    TICKET_STALE = "ticket_stale"
    TICKET_LIMIT = "ticket_limit"
    BAD_TICKET_SIGNATURE = "bad_ticket_signature"
    POLICY_MISMATCH = "policy_mismatch"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    LIFE_TOO_LONG = "life_too_long"
    CLOCK_BEHIND = "clock_behind"
    SPENT = "spent"
    PRESENCE_WRONG = "presence_wrong"
    # An approval is not one of a person who may give it.
    CHALLENGE = "challenge_mismatch"
    TYPE = "wrong_type"
    ORIGIN = "foreign_origin"
    CROSS_ORIGIN = "cross_origin"
    RP_ID = "foreign_rp_id"
    AUTHENTICATOR_DATA = "bad_authenticator_data"
    NOT_PRESENT = "user_not_present"
    NOT_VERIFIED = "user_not_verified"
    SYNCED = "synced_passkey"
    UNKNOWN_CREDENTIAL = "unknown_credential"
    SOFTWARE_KEY = "software_key"
    NO_ROLE = "no_role"
    BAD_SIGNATURE = "bad_signature"
    TOO_FEW_PERSONS = "too_few_persons"
    # The roster cannot be believed.
    ROSTER_MISSING = "roster_missing"
    ROSTER_UNVERIFIED = "roster_unverified"
    ROSTER_ROLLBACK = "roster_rollback"
    ROSTER_STALE = "roster_stale"
    # The place of action says no.
    LOCAL_INHIBIT = "local_inhibit"
    BUSY = "busy"
    SIGN_COUNT = "sign_count_fell"
    DISK = "disk"
    # Control says no.
    TOPIC = "foreign_topic"
    DUPLICATE = "duplicate"
    OPEN_PROPOSAL = "open_proposal"
    BUDGET = "budget"
    QUEUE_FULL = "queue_full"
    NOT_OPEN = "not_open"
    AUDIT_UNWRITABLE = "audit_unwritable"
    EVIDENCE_MISMATCH = "evidence_mismatch"
    RESTARTED = "restarted"
    NO_TICKET = "no_ticket"
    TIMED_OUT = "timed_out"
    VETO = "veto"
    NO_RECEIPT = "no_receipt"
