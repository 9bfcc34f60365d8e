"""ONNX files written, read and run; reached as `pynn.onnx`."""
