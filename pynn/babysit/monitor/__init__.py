"""The monitor: records every step of a run and applies rules that detect faults."""
