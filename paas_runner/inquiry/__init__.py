"""The commands `status` and `explain`: they ask the running service, and its store when it is down."""

from paas_runner.inquiry.explain import explain
from paas_runner.inquiry.status import status

__all__ = ["explain", "status"]
