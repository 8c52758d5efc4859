"""What Tidings costs, measured: ``python -m bench --quick``. See docs/explanation/performance.md."""
