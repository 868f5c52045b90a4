"""`python -m register` is `heptapod-paas-runner-register`."""

import sys

from register.command import main

sys.exit(main())
