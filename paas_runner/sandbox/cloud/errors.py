"""Refusals of the simulated cloud, with the ids of spec clever-cloud-api.md §1.4."""

from collections.abc import Mapping

from paas_runner.errors import RunnerError


class CloudRefusedError(RunnerError):
    """A request that the cloud does not perform; rendered by the API as an error envelope."""

    def __init__(
        self, status: int, number: int, message: str, *, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.number = number
        self.message = message
        self.fields = fields


class MalformedError(RunnerError):
    """A body that does not fit the schema; `problems` are pairs of a path and a Play error name (§1.3)."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {problem}" for path, problem in problems.items()))
        self.problems = problems


def not_connected() -> CloudRefusedError:
    """No credentials, or wrong ones."""
    return CloudRefusedError(401, 2001, "Not connected")


def wrong_kind_of_token() -> CloudRefusedError:
    """A token that is not accepted on this host; the apostrophe is the real one's."""
    return CloudRefusedError(403, 1504, "This token’s scope is invalid.")


def foreign_organisation() -> CloudRefusedError:
    """Valid credentials without a right on this organisation; the id is a guess."""
    return CloudRefusedError(403, 2002, "You are not authorized to perform this request.")


def no_such_application() -> CloudRefusedError:
    """Never created, deleted, or another organisation's."""
    return CloudRefusedError(404, 4004, "The application does not exist.")


def no_such_deployment() -> CloudRefusedError:
    """Unknown id or uuid; the id of the envelope is a guess."""
    return CloudRefusedError(404, 4012, "The deployment does not exist.")


def not_in_progress() -> CloudRefusedError:
    """Only a deployment in progress can be canceled (§2.6); status and id are guesses."""
    return CloudRefusedError(400, 4013, "The deployment is not in progress.")


def never_pushed() -> CloudRefusedError:
    """Redeploy of an application without any commit."""
    return CloudRefusedError(400, 4014, "The application has never been deployed: push a commit first.")


def no_such_instance_type() -> CloudRefusedError:
    """`instanceVersion` is missing or no longer on offer."""
    return CloudRefusedError(400, 9017, "The specified instance does not exist")


def invalid_value(field: str, reason: str) -> CloudRefusedError:
    """A well-formed value that is not on offer: flavor, zone, number of instances; the id is a guess."""
    return CloudRefusedError(400, 9018, f"Invalid value for {field}: {reason}", fields={field: reason})


def no_capacity(status: int, wanted: str) -> CloudRefusedError:
    """No machine is left of a flavor, or in a zone; status, id and words are guesses."""
    return CloudRefusedError(status, 9019, f"There is no capacity left for {wanted}, please try again later.")


def invalid_environment(fields: Mapping[str, str]) -> CloudRefusedError:
    """Names that cannot be names of environment variables."""
    return CloudRefusedError(400, 557, "The environment is invalid.", fields=fields)
