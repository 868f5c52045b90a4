"""What an executor has to be able to do, and what it may offer; all that its author needs."""

from paas_runner.executor.checks import CheckResult, Grade, fault, fine, skipped, warning
from paas_runner.executor.contract import (
    Examinable,
    Executor,
    ExecutorKind,
    HostRequest,
    JobRefusedError,
    RunnerSection,
    installed,
)
from paas_runner.executor.questions import (
    AnswerRefusedError,
    Choice,
    HasQuestions,
    Kind,
    Question,
    QuestionContext,
)
from paas_runner.settings import setting

__all__ = [
    "AnswerRefusedError",
    "CheckResult",
    "Choice",
    "Examinable",
    "Executor",
    "ExecutorKind",
    "Grade",
    "HasQuestions",
    "HostRequest",
    "JobRefusedError",
    "Kind",
    "Question",
    "QuestionContext",
    "RunnerSection",
    "fault",
    "fine",
    "installed",
    "setting",
    "skipped",
    "warning",
]
