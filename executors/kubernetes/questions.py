"""What registration asks for `kubernetes`, and how it checks the answers at once."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from executors.kubernetes.checks import NEEDED, rehearse
from executors.kubernetes.settings import KubernetesSettings
from paas_runner.errors import RemoteError, RunnerError
from paas_runner.executor.questions import AnswerRefusedError, Question, QuestionContext, names_an_image
from paas_runner.kubernetes.answers import AbsentError
from paas_runner.kubernetes.api import Cluster
from paas_runner.kubernetes.config import load

_IMAGE = "heptapod_runner_main_image"


def questions(environ: Mapping[str, str]) -> Sequence[Question]:
    """In the order of asking; offered is the file that kubectl would use, nothing in a pod that has none.

    The file is written into the section: the service may be started without the variable that names it.
    """
    named = environ.get("KUBECONFIG", "")
    usual = Path(named or Path(environ.get("HOME", "/"), ".kube", "config"))
    in_pod = bool(environ.get("KUBERNETES_SERVICE_HOST")) and not usual.is_file()

    async def check_namespace(context: QuestionContext, _: str) -> str:
        try:
            settings = KubernetesSettings(**context.settings)
            configuration = load(environ, kubeconfig=settings.kubeconfig, context=settings.context)
            cluster = Cluster(configuration, context.connect, namespace=settings.namespace or None)
            async with aclosing(cluster):
                version = await cluster.version()
                missing = [str(right) for right in NEEDED if not await cluster.may(right)]
                if not missing:
                    await rehearse(cluster, settings)
        except AbsentError as error:
            raise AnswerRefusedError(f"{error.service}: {error.text}") from error
        except RemoteError as error:
            raise AnswerRefusedError(f"{error.service}: {error.text}", again="kubeconfig") from error
        except RunnerError as error:
            raise AnswerRefusedError(str(error), again="kubeconfig") from error
        rights = f"missing rights: {', '.join(missing)}" if missing else "all rights that are needed"
        return f"{cluster.service} is {version}; namespace {cluster.namespace}: {rights}"

    return (
        Question(
            key="kubeconfig",
            variable="KUBERNETES_KUBECONFIG",  # kubectl's own may name several files
            prompt="kubectl's configuration file",
            default=str(usual),
            wanted=lambda _: not in_pod and ":" not in named,  # of several files each has a part
        ),
        Question(
            key="namespace",
            variable="KUBERNETES_NAMESPACE",
            prompt="Namespace of the hosts",
            default="default",
            check=check_namespace,
        ),
        Question(
            key=_IMAGE,
            prompt="Image of hosts, with the inner runner, in a registry that the nodes reach",
            default=KubernetesSettings().heptapod_runner_main_image,
            check=names_an_image,
        ),
    )
