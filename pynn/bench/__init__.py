"""How fast pynn is, beside what else trains networks on this machine; ``pynn bench`` prints it.

`cases` says what is measured and `work` how much of it there is; `contestants` are pynn's backends and its peers, each
in a `worker` process of its own, which `comparison` asks in turn; `report` and `roofline` show the result.
"""
