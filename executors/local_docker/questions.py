"""What registration asks for `local-docker`, and how it checks the answers at once."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing

import attrs

from executors.local_docker import look
from executors.local_docker.settings import STANDARD_SOCKET, Address, LocalDockerSettings, address
from paas_runner.errors import Rejected, RemoteError, RunnerError
from paas_runner.executor.questions import AnswerRefusedError, Question, QuestionContext

_DEFAULTS = {field.name: field.default for field in attrs.fields(LocalDockerSettings)}


def questions(environ: Mapping[str, str]) -> Sequence[Question]:
    """In the order of asking; the engine offered is the one that Docker's own programs would use.

    Its address and its keys are written, since the service may be started without these variables.
    """
    usual = _usual(environ)

    def is_usual(inquiry: QuestionContext) -> bool:
        return _settings(inquiry).host == usual.url

    def chosen(inquiry: QuestionContext) -> Address:
        settings = _settings(inquiry)
        if settings.docker_cert_path is None and is_usual(inquiry):
            settings = attrs.evolve(settings, docker_cert_path=usual.certificates)
        return address(settings, environ)

    async def answers(inquiry: QuestionContext, url: str) -> str:
        try:
            async with aclosing(look.engine_at(chosen(inquiry))) as engine:
                version = await look.version(engine)
        except RemoteError as error:
            raise AnswerRefusedError(f"{error.service}: {error.text}") from error
        except RunnerError as error:
            raise AnswerRefusedError(str(error)) from error
        return f"Docker {version} answers at {url}"

    async def has_image(inquiry: QuestionContext, image: str) -> str:
        async with aclosing(look.engine_at(chosen(inquiry))) as engine:
            try:
                present = await look.has_image(engine, image)
            except Rejected as error:
                raise AnswerRefusedError(error.text) from error
        if present:
            return f"the engine has {image}"
        return (
            f"taken, but the engine has no {image} yet: the first job waits until it is fetched from its "
            "registry, and fails if none has it (packaging/images/build makes one)"
        )

    keys = Question(key="docker_cert_path", default=str(usual.certificates), wanted=is_usual)
    return (
        Question(
            key="host",
            variable="LOCAL_DOCKER_HOST",  # several shells have a $HOST of their own
            prompt="Where the Docker engine is (unix:///path or tcp://name:port)",
            default=usual.url,
            check=answers,
        ),
        *([keys] if usual.certificates else ()),
        Question(
            key="heptapod_runner_main_image",
            prompt="Image of hosts, with the inner runner",
            default=_DEFAULTS["heptapod_runner_main_image"],
            check=has_image,
        ),
        Question(
            key="docker.image",
            prompt="Image of jobs that name none",
            default="debian:12",
        ),
    )


def _settings(inquiry: QuestionContext) -> LocalDockerSettings:
    return LocalDockerSettings(**inquiry.settings)


def _usual(environ: Mapping[str, str]) -> Address:
    """By the variables, if they name an engine that can be used; only an offer in any case."""
    try:
        return address(LocalDockerSettings(), environ)
    except RunnerError:
        return Address(url=f"unix://{STANDARD_SOCKET}")
