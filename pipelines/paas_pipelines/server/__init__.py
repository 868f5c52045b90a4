"""The process: settings, what is put together of the rooms, signals, and how it ends."""
