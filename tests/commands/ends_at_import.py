"""A module of somebody else's that ends the program when it is imported."""

import sys

sys.exit(3)
