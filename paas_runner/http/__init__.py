"""HTTP as the service uses it; `client` is the one module that speaks httpx."""

from paas_runner.http.client import (
    MOST_BODY_BYTES,
    MOST_LIST_BYTES,
    QUICK_TRIES,
    Connect,
    Http,
    HttpClient,
    OnResponse,
)
from paas_runner.http.response import Response
from paas_runner.http.tls import Tls

__all__ = [
    "MOST_BODY_BYTES",
    "MOST_LIST_BYTES",
    "QUICK_TRIES",
    "Connect",
    "Http",
    "HttpClient",
    "OnResponse",
    "Response",
    "Tls",
]
