"""Parts of bench_alloc.py: which allocators there are, what runs under them, and the report."""
