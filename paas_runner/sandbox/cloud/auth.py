"""Who makes a request: `token …` or OAuth for the API, Basic for git (§1.2, §3.2).

OAuth is 1.0a as its clients speak it to Clever Cloud, PLAINTEXT or HMAC-SHA512 (§1.2 a, b). Signatures are
verified in full; that a nonce comes only once is not.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote
from urllib.request import parse_http_list, parse_keqv_list

import attrs
from starlette.requests import Request

from paas_runner.sandbox.cloud import errors
from paas_runner.sandbox.cloud.accounts import OAuthKeys, Organisation, User
from paas_runner.sandbox.cloud.application import Application
from paas_runner.sandbox.cloud.model import Cloud
from paas_runner.secret import Secret

_SIGNATURE = "oauth_signature"


@attrs.frozen(kw_only=True)
class Caller:
    """Credentials that were recognised: whose they are, and which organisations they are good for."""

    token: Secret
    user_id: str
    name: str
    organisations: tuple[Organisation, ...]

    def organisation(self, organisation_id: str) -> Organisation | None:
        """The organisation with that id, if the caller may act for it."""
        return next((each for each in self.organisations if each.id == organisation_id), None)


@attrs.frozen(kw_only=True)
class Access:
    """A token that was recognised, and the organisation that it acts for in this request."""

    organisation: Organisation
    token: Secret


def api_access(request: Request, cloud: Cloud) -> Caller:
    """Who calls the API; raises `CloudRefusedError` (401, or 403 for a bearer token)."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            raise errors.wrong_kind_of_token()
        case "token":
            found = _organisation(cloud, value.strip())
        case "oauth":
            found = _signer(request, cloud, value)
        case _:
            found = None
    if found is None:
        raise errors.not_connected()
    return found


def organisation_access(request: Request, cloud: Cloud) -> Access:
    """Who calls for the organisation in the path; raises `CloudRefusedError` (401 or 403)."""
    caller = api_access(request, cloud)
    organisation = caller.organisation(request.path_params["organisation"])
    if organisation is None:
        raise errors.foreign_organisation()
    return Access(organisation=organisation, token=caller.token)


def requested_application(request: Request, cloud: Cloud) -> tuple[Access, Application]:
    """Who calls, and the application in the path; raises `CloudRefusedError` (401, 403, 404)."""
    access = organisation_access(request, cloud)
    return access, cloud.application(access.organisation.id, request.path_params["application"])


def git_access(request: Request, cloud: Cloud) -> Caller | None:
    """Who pushes: any user with an organisation's token, or an OAuth token with its secret."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        anonymous = cloud.options.anonymous_push_token
        return _organisation(cloud, anonymous.reveal()) if anonymous else None
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    user = cloud.accounts.user_with(Secret(name))
    if user is not None and user.keys.token_secret == Secret(password):
        return _user(cloud, user)
    return _organisation(cloud, password)


def _organisation(cloud: Cloud, value: str) -> Caller | None:
    token = Secret(value)
    found = cloud.accounts.organisation_with(token)
    if found is None:
        return None
    return Caller(token=token, user_id=found.user_id, name=found.name, organisations=(found,))


def _signer(request: Request, cloud: Cloud, value: str) -> Caller | None:
    parameters = oauth_parameters(value)
    user = cloud.accounts.user_with(Secret(parameters.get("oauth_token", "")))
    return _user(cloud, user) if user and is_signed(request, parameters, user.keys) else None


def _user(cloud: Cloud, user: User) -> Caller:
    organisations = cloud.accounts.organisations_of(user)
    return Caller(token=user.keys.token, user_id=user.id, name=user.name, organisations=organisations)


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
