"""The executors of tasks: containers that this server starts, and what is set up and torn down for them."""
