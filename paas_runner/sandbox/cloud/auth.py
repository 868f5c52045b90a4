"""Who makes a request: `token …` or OAuth for the API, Basic for git (§1.2, §3.2)."""

import base64
import binascii

import attrs
from starlette.requests import Request

from paas_runner.sandbox.cloud import errors
from paas_runner.sandbox.cloud.accounts import Organisation, User
from paas_runner.sandbox.cloud.application import Application
from paas_runner.sandbox.cloud.model import Cloud
from paas_runner.sandbox.cloud.oauth import is_signed, oauth_parameters
from paas_runner.secret import Secret


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
    """Who calls the API; raises `RefusedError` (401, or 403 for a bearer token)."""
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
    """Who calls for the organisation in the path; raises `RefusedError` (401 or 403)."""
    caller = api_access(request, cloud)
    organisation = caller.organisation(request.path_params["organisation"])
    if organisation is None:
        raise errors.foreign_organisation()
    return Access(organisation=organisation, token=caller.token)


def requested_application(request: Request, cloud: Cloud) -> tuple[Access, Application]:
    """Who calls, and the application in the path; raises `RefusedError` (401, 403, 404)."""
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
