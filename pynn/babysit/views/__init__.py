"""Views of a monitored run: terminal, HTML page, TensorBoard, matplotlib figures.

Each module needs only a `Monitor`, and is imported on first use.
"""
