"""`paas-plans` beside DBOS: plans of five actions, workflows of five steps, each in a process of its own."""
