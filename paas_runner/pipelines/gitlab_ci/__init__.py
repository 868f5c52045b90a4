"""`.gitlab-ci.yml` into pipelines."""
