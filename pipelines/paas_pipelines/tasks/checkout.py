"""The sources of a job elsewhere: what is checked out there, as the runner is told. Nothing is fetched here.

What names them may come from outside, a payload above all: it is taken for the name of a branch, a tag or a
commit, or for nothing.
"""

import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit, urlunsplit

from paas_pipelines.credentials.vault import CredentialError
from paas_pipelines.definitions.automation import FromCredential
from paas_pipelines.expressions.expression import ExpressionError
from paas_pipelines.runs.expressing import Stdout, value
from paas_pipelines.tasks.place import TaskOrder
from paas_runner.pipelines.spec import Sources
from paas_runner.secret import Secret

Reveal = Callable[[FromCredential], Awaitable[Secret]]
"""Tells a credential's value to the server itself; raises `CredentialError`."""

DEFAULT_REF = "HEAD"
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+@./-]*")
_NEVER_IN_REFS = ("..", "//", "@{", "/.", ".lock")
_SCHEMES = ("https", "http", "ssh", "git")


class CheckoutError(Exception):
    """Sources that cannot be checked out; the text says why."""


def sources_of(order: TaskOrder, stdout: Stdout) -> Sources | None:
    """None for a task without a check-out; raises `CheckoutError`."""
    checkout = order.task.definition.checkout
    if checkout is None:
        return None
    ref: object = checkout.ref or DEFAULT_REF
    if checkout.ref_from:
        try:
            ref = value(checkout.ref_from, order.run, order.task, stdout)
        except ExpressionError as error:
            raise CheckoutError(f"checkout: ref_from: {error}") from None
    if not isinstance(ref, str) or not _REF.fullmatch(ref) or any(each in ref for each in _NEVER_IN_REFS):
        raise CheckoutError("checkout: ref is no name of a branch, a tag or a commit")
    parts = urlsplit(checkout.url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise CheckoutError(f"checkout: url must begin with {', '.join(f'{each}://' for each in _SCHEMES)}")
    if parts.password:
        raise CheckoutError("checkout: url has a password: name a credential")
    return Sources(url=checkout.url, ref=ref, depth=checkout.depth)


async def url_with(url: str, credential: str, reveal: Reveal) -> Secret:
    """The URL as the protocol of runners has it, with user and password; raises `CheckoutError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http"):
        raise CheckoutError("checkout: credential needs a url that begins with https://")
    try:
        password = await reveal(FromCredential(name=credential))
        try:
            user = (await reveal(FromCredential(name=credential, field="username"))).reveal()
        except CredentialError:
            user = parts.username or "oauth2"  # a token by itself, as GitLab and GitHub take it
    except CredentialError as error:
        raise CheckoutError(f"checkout: {error}") from None
    host = parts.netloc.rpartition("@")[2]
    named = f"{quote(user, safe='')}:{quote(password.reveal(), safe='')}@{host}"
    return Secret(urlunsplit(parts._replace(netloc=named)))
