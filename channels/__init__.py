"""One adapter for each way out; every adapter speaks the protocol of ``base``."""
