"""Who may ask the helper service: whoever shows its token, whichever way the request came.

Without it an answer tells nothing of this host: neither its instance nor whether it has a job.
"""

import hmac
from collections.abc import Mapping

import attrs

from paas_runner.helper.protocol import CLEAN_HEADER, INSTANCE_HEADER, LEASE_HEADER, NOT_CLEAN
from paas_runner.helper.service import HelperService
from paas_runner.secret import Secret

_SCHEME = "bearer"


@attrs.frozen(kw_only=True)
class Access:
    """The verbs behind the door; `token` is None where everybody may come in."""

    service: HelperService
    token: Secret | None

    def admits(self, authorization: str | None) -> bool:
        """Whether a request with this `Authorization` may ask; one that may renews the lease."""
        admitted = self.token is None or self._is_shown(self.token, authorization or "")
        if admitted:
            self.service.renew()
        return admitted

    def told(self) -> Mapping[str, str]:
        """The headers of every answer to such a request."""
        service = self.service
        always = {INSTANCE_HEADER: service.instance, LEASE_HEADER: f"{service.lease_seconds:.0f}"}
        return always if service.clean else {**always, CLEAN_HEADER: NOT_CLEAN}

    def _is_shown(self, token: Secret, authorization: str) -> bool:
        """In a time that tells nothing of how much of it is right (RFC 6750; any case of `Bearer`)."""
        scheme, _, shown = authorization.partition(" ")
        right = hmac.compare_digest(shown.strip().encode(), token.reveal().encode())
        return right and scheme.lower() == _SCHEME
