"""How a played helper behaves: as it should, or in one of the ways in which machines and programs fail."""

import enum
import math

import attrs


class Cleaning(enum.Enum):
    """What becomes of a job's files when it is to be forgotten."""

    DONE = enum.auto()
    SAYS_NO = enum.auto()  # they stay, and the helper says so
    LIES = enum.auto()  # they stay, and the helper says that it is clean


@attrs.frozen(kw_only=True)
class Manners:
    """Of one helper from its start to its end; all times are seconds, `math.inf` for never."""

    listens_after: float = 0.0
    answers_after: float = 0.0
    hangs_after: float = math.inf
    """Of its life: then it answers nothing, the platform's probes neither."""

    dies_after: float = math.inf
    """Of its life: then its program ends, and its job with it."""

    refuses: bool = False
    """It says that it can take a job, and takes none."""

    begins: bool = True
    """Otherwise it says 201 and that the job runs, and never starts it."""

    runs_for_ever: bool = False
    """It says that jobs run which have ended."""

    loses_after: float = math.inf
    """Of a launch: then it does not know the job any more, which goes on."""

    cleaning_seconds: float = 0.0
    cleaning: Cleaning = Cleaning.DONE

    @property
    def is_honest(self) -> bool:
        """Whether all that it says is true."""
        lies = self.refuses or self.runs_for_ever or not self.begins or self.loses_after < math.inf
        return not lies and self.cleaning is not Cleaning.LIES


HONEST = Manners()
