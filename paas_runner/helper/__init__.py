"""The helper service: a program on a host that stays, which takes one job after the other.

`protocol` and `messages` are what both ends of the wire share; all else is the service's own end.
"""
