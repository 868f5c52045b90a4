"""Where tasks run: as processes of this machine, or as jobs that runners acquire."""
