"""Ray: where and for how long a trial runs."""

GIB = 2**30

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    # glibc maps and unmaps every tensor above 32 MB anew unless told otherwise.
    "MALLOC_MMAP_THRESHOLD_": str(2**33),
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
}
"""What a process that trains is started with."""
