"""Identifiers of objects: UUIDs of version 7 (RFC 9562), which sort by when they were made."""

import os
import random
import time
from datetime import UTC, datetime
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62
_RANDOM_BITS = (0xFFF << 64) | ((1 << 62) - 1)
_CHANCE = random.Random()  # noqa: S311 - ids are no secrets, and a draw from the system takes longer than all else
os.register_at_fork(after_in_child=_CHANCE.seed)


def fresh_id(milliseconds: int | None = None) -> UUID:
    """A new one, of now or of that time in milliseconds since 1970."""
    when = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    return UUID(int=when << 80 | _VERSION_7 | _VARIANT | (_CHANCE.getrandbits(76) & _RANDOM_BITS))


def made_at(identifier: UUID) -> datetime:
    """When an id of version 7 was made, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)
