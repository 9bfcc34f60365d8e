"""Bytes of the binary formats, written by the tests themselves."""

import numpy as np

IDX_CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def idx_bytes(array):
    header = bytes([0, 0, IDX_CODES[array.dtype.name], array.ndim])
    return header + np.array(array.shape, ">u4").tobytes() + array.astype(array.dtype.newbyteorder(">")).tobytes()


def cifar_bytes(x, y):
    return np.column_stack([y.astype(np.uint8), x.reshape(len(y), -1)]).tobytes()


def write(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content, encoding="utf-8")
    return path
