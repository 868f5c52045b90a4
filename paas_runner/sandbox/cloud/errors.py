"""Refusals of the simulated cloud, with the ids of spec clever-cloud-api.md §1.4."""

from collections.abc import Mapping

from paas_runner.errors import RunnerError


class RefusedError(RunnerError):
    """A request that the cloud does not perform; rendered by the API as an error envelope."""

    def __init__(
        self, status: int, number: int, message: str, *, fields: Mapping[str, str] | None = None
    ) -> None:
        """Carry the HTTP status, the id of the envelope, and for a validation the reasons by field."""
        super().__init__(message)
        self.status = status
        self.number = number
        self.message = message
        self.fields = fields


class MalformedError(RunnerError):
    """A body that does not fit the schema; `problems` are pairs of a path and a Play error name (§1.3)."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        """Keep every problem found."""
        super().__init__("; ".join(f"{path}: {problem}" for path, problem in problems.items()))
        self.problems = problems


def not_connected() -> RefusedError:
    """No credentials, or wrong ones."""
    return RefusedError(401, 2001, "Not connected")


def wrong_kind_of_token() -> RefusedError:
    """A token that is not accepted on this host; the apostrophe is the real one's."""
    return RefusedError(403, 1504, "This token’s scope is invalid.")


def foreign_organisation() -> RefusedError:
    """Valid credentials without a right on this organisation; the id is a guess."""
    return RefusedError(403, 2002, "You are not authorized to perform this request.")


def no_such_application() -> RefusedError:
    """Never created, deleted, or another organisation's."""
    return RefusedError(404, 4004, "The application does not exist.")


def no_such_deployment() -> RefusedError:
    """Unknown id or uuid; the id of the envelope is a guess."""
    return RefusedError(404, 4012, "The deployment does not exist.")


def not_in_progress() -> RefusedError:
    """Only a deployment in progress can be cancelled (§2.6); status and id are guesses."""
    return RefusedError(400, 4013, "The deployment is not in progress.")


def never_pushed() -> RefusedError:
    """Redeploy of an application without any commit."""
    return RefusedError(400, 4014, "The application has never been deployed: push a commit first.")


def no_such_instance_type() -> RefusedError:
    """`instanceVersion` is missing or no longer on offer."""
    return RefusedError(400, 9017, "The specified instance does not exist")


def invalid_value(field: str, reason: str) -> RefusedError:
    """A well-formed value that is not on offer: flavor, zone, number of instances; the id is a guess."""
    return RefusedError(400, 9018, f"Invalid value for {field}: {reason}", fields={field: reason})


def no_capacity(status: int, wanted: str) -> RefusedError:
    """No machine is left of a flavor, or in a zone; status, id and words are guesses."""
    return RefusedError(status, 9019, f"There is no capacity left for {wanted}, please try again later.")


def invalid_environment(fields: Mapping[str, str]) -> RefusedError:
    """Names that cannot be names of environment variables."""
    return RefusedError(400, 557, "The environment is invalid.", fields=fields)
