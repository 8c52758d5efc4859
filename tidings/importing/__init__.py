"""Facts from files: CloudEvents, a bank's own CSV exports, and the Berka bank's records."""
