"""An execution of a workflow as a frozen record: what happens to it, and what is to be done next; pure."""
