"""What every part of the site is given: how a page is guarded and rendered, and what a form must bring along.

A form that decides or changes something has a token that only a page of this server could have for the one
who posts it, beside what browsers say of where it comes from.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import attrs
from starlette.requests import Request
from starlette.responses import Response

from paas_pipelines.api.requests import RefusedError
from paas_pipelines.api.rights import identity_of
from paas_pipelines.api.served import Served
from paas_runner.secret import Secret
from paas_runner.web.forms import posted_form

MOST_FORM_BYTES = 256 * 1024
MOST_FIELDS = 500
CSRF = "csrf"

View: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Makes the answer to a request, whose state says who asks."""


class Html(Protocol):
    """Renders a template."""

    def __call__(self, template: str, status: int = 200, *, refresh: int = 0, **values: object) -> Response:
        """`refresh` is after how many seconds the page looks again; 0: never."""


def form_token(secret: Secret, identity: str) -> str:
    """What only a page of the server with that secret can have put into a form, for that person."""
    return hmac.new(secret.reveal().encode(), f"form\0{identity}".encode(), hashlib.sha256).hexdigest()


@attrs.frozen(kw_only=True)
class Frame:
    """One site's."""

    served: Served
    guarded: Callable[[View], View]
    html: Html

    def form_token(self, request: Request) -> str:
        """For the forms of whoever asks."""
        return form_token(self.served.secret, str(identity_of(request)))

    async def posted(self, request: Request) -> dict[str, str]:
        """The fields of a form of ours; raises `RefusedError` for any other, `HTTPException` for no form."""
        given = await posted_form(request, most_bytes=MOST_FORM_BYTES, most_fields=MOST_FIELDS)
        if not hmac.compare_digest(given.get(CSRF, "").encode(), self.form_token(request).encode()):
            raise RefusedError(403, "This form is none of yours, or from before you logged in: look again.")
        return given
