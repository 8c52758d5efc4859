"""Time: what is due in which order."""
