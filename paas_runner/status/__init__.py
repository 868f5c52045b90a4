"""How the service is: values made of its memory while it runs, of its store while it does not, and views."""
