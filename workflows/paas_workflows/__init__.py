"""Workflows of containers: a state machine of steps, compatible with kog's job files, that survives kill -9.

A *workflow file* (kog: job file) has one or more *workflows*; a workflow is a map of *steps*, each of which
runs an *action*, a container image with settings, and says where to go by how it ended. One run of a file is
an *execution*. The rooms, from the top:

    commands/      `paas-runner workflow …` and `kog`
    running/       an execution brought to its end on a place that runs containers
    store/         executions on the disk
    environment, reading, notifying, logging
    machine/       the execution as a frozen record, what happens to it, what is to be done next; pure
    definition/    the file into frozen values, or every complaint with file and line; pure
"""

__version__ = "0.1.0"
