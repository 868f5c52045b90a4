"""What an executor has to be able to do, and what it may offer; all that its author needs."""

from paas_runner.executor.checks import CheckResult, Grade, fault, fine, skipped, warning
from paas_runner.executor.contract import (
    Executor,
    ExecutorKind,
    HostRequest,
    HostTrace,
    JobRefusedError,
    NoAccountError,
    ProvisionedHost,
    Removal,
    RunnerSection,
    installed,
)
from paas_runner.executor.optional import (
    Diagnosing,
    Examinable,
    Foreseeing,
    HasFlavors,
    HasTenants,
    Renewable,
)
from paas_runner.executor.questions import (
    AnswerKind,
    AnswerRefusedError,
    Choice,
    HasQuestions,
    Question,
    QuestionContext,
)
from paas_runner.settings import setting

__all__ = [
    "AnswerKind",
    "AnswerRefusedError",
    "CheckResult",
    "Choice",
    "Diagnosing",
    "Examinable",
    "Executor",
    "ExecutorKind",
    "Foreseeing",
    "Grade",
    "HasFlavors",
    "HasQuestions",
    "HasTenants",
    "HostRequest",
    "HostTrace",
    "JobRefusedError",
    "NoAccountError",
    "ProvisionedHost",
    "Question",
    "QuestionContext",
    "Removal",
    "Renewable",
    "RunnerSection",
    "fault",
    "fine",
    "installed",
    "setting",
    "skipped",
    "warning",
]
