"""The routes of a coordinator (ASGI)."""
