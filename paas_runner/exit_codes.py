"""How our programs end; the large numbers are those of sysexits.h."""

import enum


class Exit(enum.IntEnum):
    """Documented in the README and in --help."""

    OK = 0
    FAILED = 1
    USAGE = 2
    LEFT_OVER = 3  # drained, but not all is gone
    STATE = 74  # the store or the state file cannot be read or written
    IN_USE = 75  # another process works on the same state
    CONFIG = 78
