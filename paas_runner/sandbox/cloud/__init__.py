"""A simulated Clever Cloud: REST API, logs, git remote, and hosts that really run a program."""

from paas_runner.sandbox.cloud.accounts import OAuthKeys, Organisation, User
from paas_runner.sandbox.cloud.api import create_app
from paas_runner.sandbox.cloud.application import Application
from paas_runner.sandbox.cloud.catalogue import RUNNER_CONTEXT, RUNNER_VARIANT, Catalogue, standard_catalogue
from paas_runner.sandbox.cloud.errors import CloudRefusedError
from paas_runner.sandbox.cloud.git_remote import GitRemote
from paas_runner.sandbox.cloud.ledger import BilledApplication, CloudCall, CloudLedger
from paas_runner.sandbox.cloud.model import Cloud
from paas_runner.sandbox.cloud.options import CloudOptions, HostFiles, HostProgram
from paas_runner.sandbox.cloud.routing import LoadBalancer

__all__ = [
    "RUNNER_CONTEXT",
    "RUNNER_VARIANT",
    "Application",
    "BilledApplication",
    "Catalogue",
    "Cloud",
    "CloudCall",
    "CloudLedger",
    "CloudOptions",
    "CloudRefusedError",
    "GitRemote",
    "HostFiles",
    "HostProgram",
    "LoadBalancer",
    "OAuthKeys",
    "Organisation",
    "User",
    "create_app",
    "standard_catalogue",
]
