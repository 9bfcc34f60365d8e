"""Speed of pynn against other libraries on this machine; ``pynn bench`` prints it.

`cases` defines the benchmarks and `work` counts their operations and bytes. `contestants` are pynn's backends and other
libraries, each in its own `worker` process; `comparison` runs them in turn. `report` and `roofline` show the result.
"""
