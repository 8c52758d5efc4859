"""The composition root: settings, ingest, the worker, the command line."""
