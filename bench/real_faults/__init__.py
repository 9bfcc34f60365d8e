"""Programs with published faults, rebuilt in pynn, through preflight and monitor."""
