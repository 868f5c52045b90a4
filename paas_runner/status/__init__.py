"""How the service is: made from its memory while it runs, from its store while it does not, and shown."""
