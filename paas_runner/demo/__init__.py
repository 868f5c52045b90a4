"""`paas-runner demo`: the real service on a sandbox, in front of an audience."""

from paas_runner.demo.course import Audience, run
from paas_runner.demo.story import JobStory, Verdict, as_author_sees_it

__all__ = ["Audience", "JobStory", "Verdict", "as_author_sees_it", "run"]
