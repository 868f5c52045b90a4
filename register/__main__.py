"""`python -m register` is `heptapod-paas-runner-register`."""

import sys

from register.commands import main

sys.exit(main())
