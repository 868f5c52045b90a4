"""The log: what is written, with which secrets left out, and where to."""

from paas_runner.logs.chain import configure
from paas_runner.logs.levels import LEVELS, tally
from paas_runner.logs.redaction import Redactor, redactor

__all__ = ["LEVELS", "Redactor", "configure", "redactor", "tally"]
