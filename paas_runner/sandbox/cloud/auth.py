"""Who makes a request: `Authorization: token …` for the API, Basic with any user for git (§1.2, §3.2)."""

import base64
import binascii

import attrs
from starlette.requests import Request

from paas_runner.sandbox.cloud import errors
from paas_runner.sandbox.cloud.application import Application, Organisation
from paas_runner.sandbox.cloud.model import Cloud
from paas_runner.secret import Secret


@attrs.frozen(kw_only=True)
class Access:
    """A token that was recognised, and the organisation it acts for."""

    organisation: Organisation
    token: Secret


def api_access(request: Request, cloud: Cloud) -> Access:
    """Who calls the API; raises `RefusedError` (401, or 403 for a bearer token)."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        raise errors.wrong_kind_of_token()
    found = _access(cloud, value.strip()) if scheme.lower() == "token" else None
    if found is None:
        raise errors.not_connected()
    return found


def organisation_access(request: Request, cloud: Cloud) -> Access:
    """Who calls for the organisation in the path; raises `RefusedError` (401 or 403)."""
    access = api_access(request, cloud)
    if request.path_params["organisation"] != access.organisation.id:
        raise errors.foreign_organisation()
    return access


def requested_application(request: Request, cloud: Cloud) -> tuple[Access, Application]:
    """Who calls, and the application in the path; raises `RefusedError` (401, 403, 404)."""
    access = organisation_access(request, cloud)
    return access, cloud.application(access.organisation.id, request.path_params["application"])


def git_access(request: Request, cloud: Cloud) -> Access | None:
    """Who pushes: the user does not matter, the password is an organisation's token."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        anonymous = cloud.options.anonymous_push_token
        return _access(cloud, anonymous.reveal()) if anonymous else None
    try:
        _, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return _access(cloud, password)


def _access(cloud: Cloud, value: str) -> Access | None:
    token = Secret(value)
    organisation = cloud.organisation_of(token)
    return None if organisation is None else Access(organisation=organisation, token=token)
