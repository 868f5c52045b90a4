"""`python -m paas_plans`."""

from paas_plans.cli import main

raise SystemExit(main())
