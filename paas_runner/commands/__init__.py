"""The commands of `paas-runner`: a module for each, with its arguments, its help, and where it is done.

Whatever takes time to import is imported when the command is called.
"""
