"""What registration asks for `service-docker`, and how it checks the answers at once."""

from collections.abc import Sequence

from executors.helper.contract import TokenRefusedError
from executors.service_docker.checks import WHERE, WHICH_TOKEN, looked_at
from executors.service_docker.settings import ServiceDockerSettings
from paas_runner.errors import MissingPackagesError, RemoteError
from paas_runner.executor.questions import (
    AnswerKind,
    AnswerRefusedError,
    Question,
    QuestionContext,
    names_an_image,
)

_HOST, _HTTP1, _TOKEN = (
    "paas-runner-helper-host",
    "paas-runner-helper-http1",
    "paas-runner-helper-token",
)


async def _is_a_place(context: QuestionContext, _: str) -> str:
    for _key, problem in _settings(context).problems():
        raise AnswerRefusedError(f"this {problem}")
    return ""


async def _answers(context: QuestionContext, _: str) -> str:
    place = _settings(context).place
    try:
        found = await looked_at(place, context.connect)
    except TokenRefusedError as error:
        raise AnswerRefusedError(f"{error}: {WHICH_TOKEN}") from error
    except MissingPackagesError as error:
        raise AnswerRefusedError(str(error), again=_HTTP1) from error
    except RemoteError as error:
        raise AnswerRefusedError(f"{error}: {WHERE}", again=_HOST) from error
    return f"{place.service} {'takes a job' if found.takes else 'answers, and takes no job now'}"


def _settings(context: QuestionContext) -> ServiceDockerSettings:
    return ServiceDockerSettings(**context.settings)


QUESTIONS: Sequence[Question] = (
    Question(
        key=_HOST,
        prompt="Where the helper service listens (host:port)",
        default="localhost:8000",
        check=_is_a_place,
    ),
    Question(
        key=_HTTP1,
        prompt="Does it speak HTTP/1 (otherwise gRPC)?",
        kind=AnswerKind.YES_NO,
        default="no",
    ),
    Question(
        key=_TOKEN,
        prompt="The token that it wants",
        kind=AnswerKind.SECRET,
        check=_answers,
    ),
    Question(
        key="docker.image",
        prompt="Image of jobs that name none",
        default="debian:12",
        check=names_an_image,
    ),
)
