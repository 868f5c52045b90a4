"""Asking the running service, over a socket that only its own user may open.

One line of JSON asks, `{"ask": "status", ...}`; lines of JSON answer, and the last one is `{"done": true}` or
`{"error": "why"}`. Nothing runs between requests.
"""

from paas_runner.control.client import ControlError, NotRunningError, RefusedError, ask
from paas_runner.control.server import Control, ControlServer, Handler, control_path, no_control

__all__ = [
    "Control",
    "ControlError",
    "ControlServer",
    "Handler",
    "NotRunningError",
    "RefusedError",
    "ask",
    "control_path",
    "no_control",
]
