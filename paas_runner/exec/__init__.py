"""`paas-runner exec`: one job of a `.gitlab-ci.yml` on this machine, by the inner runner."""
