"""What goes into an evidence pack, and the verifier that travels in it."""
