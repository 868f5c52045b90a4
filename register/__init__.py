"""Registration of a runner: `heptapod-paas-runner-register`, and what undoes and verifies it.

What it writes can be served as it is, and a runner that was registered never stays without its section.
"""
