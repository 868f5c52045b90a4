"""A coordinator and a Clever Cloud that cost next to nothing, as a process of their own, and its books."""
