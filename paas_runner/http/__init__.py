"""HTTP as the service uses it; `client` is the one module that speaks httpx."""

from paas_runner.http.client import (
    MOST_BODY_BYTES,
    MOST_LIST_BYTES,
    QUICK_TRIES,
    Connect,
    Http,
    HttpClient,
)
from paas_runner.http.exchange import Exchange, Exchanges, OnExchange
from paas_runner.http.response import Response
from paas_runner.http.services import (
    HELPER_OF_A_HOST,
    ServiceKind,
    coordinator_at,
    git_remote_at,
    kind_of,
    receiver_of,
)
from paas_runner.http.stream import Stream
from paas_runner.http.tls import Tls

__all__ = [
    "HELPER_OF_A_HOST",
    "MOST_BODY_BYTES",
    "MOST_LIST_BYTES",
    "QUICK_TRIES",
    "Connect",
    "Exchange",
    "Exchanges",
    "Http",
    "HttpClient",
    "OnExchange",
    "Response",
    "ServiceKind",
    "Stream",
    "Tls",
    "coordinator_at",
    "git_remote_at",
    "kind_of",
    "receiver_of",
]
