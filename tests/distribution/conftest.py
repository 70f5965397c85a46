"""The scripts that jobs run are no tests, and none of them can be imported outside of a job."""

collect_ignore = ["cases.py", "faults.py", "launch.py", "parts.py", "resumed.py", "worker.py"]
