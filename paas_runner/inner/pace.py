"""How often and how long things are done; a test may hurry."""

import attrs


@attrs.frozen(kw_only=True)
class Timings:
    """All in seconds."""

    interval: float = 3.0  # between pieces of the trace, unless the coordinator says another
    keep_alive: float = 30.0  # of silence
    first_pause: float = 1.0  # after a failed try; it doubles
    longest_pause: float = 60.0
    patience: float = 1800.0  # to deliver the final word
    hurried_patience: float = 20.0  # the same, when the host is about to end
    grace: float = 10.0  # between SIGTERM and SIGKILL
    hurry: float = 2.0  # the same, when the host is about to end
    stage_retry: float = 5.0  # before a stage is tried again; it grows
