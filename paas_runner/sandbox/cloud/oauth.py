"""OAuth 1.0a as its clients speak it to Clever Cloud: PLAINTEXT or HMAC-SHA512 (§1.2 a, b).

Signatures are verified in full; that a nonce comes only once is not.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote
from urllib.request import parse_http_list, parse_keqv_list

from starlette.requests import Request

from paas_runner.sandbox.cloud.accounts import OAuthKeys

_SIGNATURE = "oauth_signature"


def oauth_parameters(value: str) -> dict[str, str]:
    """The parameters in the value of an `OAuth` header; none when it is not well-formed."""
    try:
        pairs = parse_keqv_list(parse_http_list(value))
    except ValueError:
        return {}
    return {unquote(name): unquote(text) for name, text in pairs.items()}


def is_signed(request: Request, parameters: Mapping[str, str], keys: OAuthKeys) -> bool:
    """Whether the parameters are those of these keys, and their signature is right for this request."""
    key = "&".join(_encoded(each.reveal()) for each in (keys.consumer_secret, keys.token_secret))
    match parameters.get("oauth_signature_method", "PLAINTEXT"):
        case "PLAINTEXT":
            expected = key
        case "HMAC-SHA512":
            base = _base_string(request, parameters)
            expected = base64.b64encode(hmac.digest(key.encode(), base.encode(), hashlib.sha512)).decode()
        case _:
            return False
    given = parameters.get(_SIGNATURE, "")
    same_consumer = parameters.get("oauth_consumer_key") == keys.consumer_key
    return same_consumer and hmac.compare_digest(given.encode(), expected.encode())


def _base_string(request: Request, parameters: Mapping[str, str]) -> str:
    """What is signed: RFC 5849 §3.4.1, for requests whose body is no form."""
    path = request.scope["raw_path"].decode("latin-1")
    url = f"{request.url.scheme}://{request.url.netloc.lower()}{path}"
    signed = [(name, text) for name, text in parameters.items() if name not in (_SIGNATURE, "realm")]
    signed += parse_qsl(request.url.query, keep_blank_values=True)
    pairs = sorted((_encoded(name), _encoded(text)) for name, text in signed)
    query = "&".join(f"{name}={text}" for name, text in pairs)
    return "&".join(_encoded(each) for each in (request.method, url, query))


def _encoded(text: str) -> str:
    return quote(text, safe="-._~")
