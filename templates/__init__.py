"""Message content: its documents, and the words that come of them for one customer."""
