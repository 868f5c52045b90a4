"""What other distributions add: actions, executors, notifiers, credentials, each found by its entry point."""
