"""What an operator may do to the running service: reload it, drain it, pause and resume its runners."""
