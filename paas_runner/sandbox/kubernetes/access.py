"""Who asks, and what they may: tokens of accounts, and rules as those of roles (RBAC)."""

from collections.abc import Iterable

import attrs

from paas_runner.sandbox.kubernetes import errors
from paas_runner.sandbox.kubernetes.errors import StatusError
from paas_runner.sandbox.kubernetes.resources import Resource
from paas_runner.secret import Secret

_EVERYTHING = ("*",)


@attrs.frozen(kw_only=True)
class Rule:
    """What is allowed; `*` is everything. Without a namespace in all of them, and across."""

    verbs: tuple[str, ...] = _EVERYTHING
    resources: tuple[str, ...] = _EVERYTHING
    """Plural names, `pods/log` for what is below."""

    groups: tuple[str, ...] = _EVERYTHING
    namespace: str | None = None


@attrs.frozen(kw_only=True)
class Account:
    """Whoever has the token."""

    name: str
    rules: tuple[Rule, ...]

    def may(self, verb: str, group: str, path: str, namespace: str | None) -> bool:
        return any(
            rule.namespace in (None, namespace)
            and {verb, "*"} & {*rule.verbs}
            and {path, "*"} & {*rule.resources}
            and {group, "*"} & {*rule.groups}
            for rule in self.rules
        )

    def check(self, verb: str, of: Resource, path: str, namespace: str | None, name: str) -> None:
        """Raises `StatusError` (403)."""
        if not self.may(verb, of.group, path, namespace):
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            why = f'User "{self.name}" cannot {verb} resource "{path}" in API group "{of.group}" {where}'
            raise errors.forbidden(of, name, why)


class Accounts:
    """All tokens that are taken."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def add(self, name: str, token: Secret, rules: Iterable[Rule] = (Rule(),)) -> None:
        self._accounts[token.reveal()] = Account(name=name, rules=tuple(rules))

    def of(self, header: str) -> Account:
        """By `Authorization`; raises `StatusError` (401)."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or token not in self._accounts:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        return self._accounts[token]
