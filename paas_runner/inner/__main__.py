"""`python -m paas_runner.inner`: the same as `paas-runner-inner`."""

import sys

from paas_runner.inner.cli import main

if __name__ == "__main__":
    sys.exit(main())
