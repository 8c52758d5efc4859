"""What a journey would do: the engine's own lines, lived through in memory, with no store to write to."""
