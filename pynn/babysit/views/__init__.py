"""How a watched run is shown: in the terminal, as an HTML page, in TensorBoard, as matplotlib figures.

Each of the modules needs only a `Monitor`; none is imported before it is used.
"""
