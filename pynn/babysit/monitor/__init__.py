"""The monitor: it records every step of a run, and its rules tell what is wrong."""
