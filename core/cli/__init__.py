"""The gatehouse command: commands and the supervisor."""
