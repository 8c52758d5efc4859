"""History as Parquet files in a folder, written from a store and read without one."""
