"""For compliance: replay, why and why not, and the proof that nothing was altered."""
