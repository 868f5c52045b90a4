"""The configuration file, as frozen values or as a list of complaints with file and line."""

from paas_runner.config.complaints import ConfigError
from paas_runner.config.load import load
from paas_runner.config.model import Config
from paas_runner.config.runner import Runner

__all__ = ["Config", "ConfigError", "Runner", "load"]
