"""What registration asks for `local-docker`, and how it checks the answers at once.

The engine offered is the one that Docker's own programs would use. Its address and its certificates are
written into the section, since the service may be started without the variables that name them.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing

import attrs

from executors.local_docker.checks import has_image, impatient_engine, version
from executors.local_docker.settings import LocalDockerSettings, address
from paas_runner.docker.engine import Address
from paas_runner.errors import Rejected, RemoteError, RunnerError
from paas_runner.executor.questions import AnswerRefusedError, Question, QuestionContext, names_an_image

_DEFAULT_IMAGE = attrs.fields(LocalDockerSettings).heptapod_runner_main_image.default


def questions(environ: Mapping[str, str]) -> Sequence[Question]:
    """In the order of asking."""
    engines = _Engines(environ=environ, usual=_usual(environ))
    host = Question(
        key="host",
        variable="LOCAL_DOCKER_HOST",  # several shells have a $HOST of their own
        prompt="Where the Docker engine is (unix:///path or tcp://name:port)",
        default=engines.usual.url,
        check=engines.check_host,
    )
    certificates = Question(
        key="docker_cert_path", default=str(engines.usual.certificates), wanted=engines.is_usual
    )
    host_image = Question(
        key="heptapod_runner_main_image",
        prompt="Image of hosts, with the inner runner",
        default=_DEFAULT_IMAGE,
        check=engines.check_image,
    )
    job_image = Question(
        key="docker.image",
        prompt="Image of jobs that name none",
        default="debian:12",
        check=names_an_image,
    )
    return host, *([certificates] if engines.usual.certificates else ()), host_image, job_image


@attrs.frozen(kw_only=True)
class _Engines:
    """The engine that is offered, and the one that was chosen."""

    environ: Mapping[str, str]
    usual: Address

    def is_usual(self, context: QuestionContext) -> bool:
        return _settings(context).host == self.usual.url

    def chosen(self, context: QuestionContext) -> Address:
        """Raises `RunnerError` when that is no engine."""
        settings = _settings(context)
        if settings.docker_cert_path is None and self.is_usual(context):
            settings = attrs.evolve(settings, docker_cert_path=self.usual.certificates)
        return address(settings, self.environ)

    async def check_host(self, context: QuestionContext, url: str) -> str:
        try:
            async with aclosing(impatient_engine(self.chosen(context))) as engine:
                return f"Docker {await version(engine)} answers at {url}"
        except RemoteError as error:
            raise AnswerRefusedError(f"{error.service}: {error.text}") from error
        except RunnerError as error:
            raise AnswerRefusedError(str(error)) from error

    async def check_image(self, context: QuestionContext, image: str) -> str:
        async with aclosing(impatient_engine(self.chosen(context))) as engine:
            try:
                present = await has_image(engine, image)
            except Rejected as error:
                raise AnswerRefusedError(error.text) from error
        if present:
            return f"the engine has {image}"
        return (
            f"taken, but the engine has no {image} yet: the first job waits until it is fetched from its "
            "registry, and fails if none has it (packaging/images/build makes one)"
        )


def _settings(context: QuestionContext) -> LocalDockerSettings:
    return LocalDockerSettings(**context.settings)


def _usual(environ: Mapping[str, str]) -> Address:
    """By the variables, if they name an engine that can be used; only an offer in any case."""
    try:
        return address(LocalDockerSettings(), environ)
    except RunnerError:
        return Address()
