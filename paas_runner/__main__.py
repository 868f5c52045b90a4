"""`python -m paas_runner`: the same as `paas-runner`."""

import sys

from paas_runner.cli import main

sys.exit(main())
