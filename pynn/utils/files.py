"""Files of arrays with a description, written atomically and read without executing anything from them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .validation import shortened
from .writing import check_target, write_atomically

__all__ = [
    "FileFormatError",
    "check_target",
    "load_tensors",
    "packed_tensors",
    "read_tensors",
    "save_tensors",
    "write_atomically",
]

#: The largest header that safetensors readers accept.
LARGEST_HEADER = 100_000_000
#: The names in safetensors of NumPy's dtypes.
DTYPES = {
    "BOOL": np.dtype("?"),
    **{f"{kind.upper()}{8 * size}": np.dtype(f"<{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
#: How files of PyTorch before 1.6 begin: a pickle of its magic number.
TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
NAMES = {dtype: name for name, dtype in DTYPES.items()}


class FileFormatError(ValueError):
    """The file is of another kind, truncated or altered.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pynn
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "m.safetensors")
    >>> _ = path.write_bytes(b"no model")
    >>> try:
    ...     pynn.load(path)
    ... except pynn.FileFormatError as error:
    ...     print(type(error).__name__)
    FileFormatError
    >>> folder.cleanup()
    """


def save_tensors(path: str | Path, kind: str, tensors: Mapping[str, np.ndarray], description: Any) -> None:
    """Write arrays and a JSON-serialisable description to a safetensors file, with a checksum over both."""
    write_atomically(path, packed_tensors(kind, tensors, description))


def packed_tensors(kind: str, tensors: Mapping[str, np.ndarray], description: Any) -> bytes:
    """Return the content that `save_tensors` writes.

    Raises
    ------
    TypeError
        If the format does not support the dtype of an array.
    ValueError
        If the description, or the number of arrays, is larger than the format allows.
    """
    text = json.dumps(description, allow_nan=True)
    # np.ascontiguousarray would turn a 0-D array into a 1-D one.
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    arrays = {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype not in NAMES:
            raise TypeError(f"{name} has dtype {array.dtype}, which cannot be saved; expected numbers")
    own = {"format": f"pynn.{kind}", "description": text, "sha256": _checksum(arrays, text)}
    # Large dtypes first, so that every array is aligned.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))
    header = _header(ordered, {"pynn": json.dumps(own)})
    if len(header) > LARGEST_HEADER:
        raise ValueError(
            f"names, shapes and settings of {len(arrays)} arrays take more than {LARGEST_HEADER} bytes, the limit of "
            "a safetensors header; use fewer layers or shorter lists"
        )
    # Not with the safetensors library, which aborts the process when out of memory.
    return b"".join([len(header).to_bytes(8, "little"), header, *(array.data for _, array in ordered if array.size)])


def _header(ordered: list[tuple[str, np.ndarray]], metadata: dict[str, str]) -> bytes:
    """Return the safetensors header of the arrays, in file order; padded to 8 bytes, as readers require."""
    entries: dict[str, Any] = {"__metadata__": metadata}
    stop = 0
    for name, array in ordered:
        start, stop = stop, stop + array.nbytes
        entries[name] = {"dtype": NAMES[array.dtype], "shape": array.shape, "data_offsets": [start, stop]}
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    return header + b" " * (-len(header) % 8)


def load_tensors(path: str | Path, kind: str) -> tuple[dict[str, np.ndarray], Any]:
    """Return arrays and description of a file that `save_tensors` wrote.

    The arrays are read-only views of the file's content. Time and memory are proportional to its size.

    Raises
    ------
    FileFormatError
        If it is another kind of file, truncated or altered.
    """
    arrays, metadata = read_tensors(path)
    header = _own_header(metadata)
    found = header.get("format")
    if found != f"pynn.{kind}":
        own = isinstance(found, str) and found.startswith("pynn.")
        what = f"contains a {found}" if own else f"was not written by pynn{_torch_hint(metadata)}"
        raise FileFormatError(f"{path} {what}; expected a pynn.{kind}")
    text = header.get("description")
    if not isinstance(text, str) or header.get("sha256") != _checksum(arrays, text):
        raise FileFormatError(f"{path} was altered after it was written: its checksum does not match")
    try:
        return arrays, json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} has a description that cannot be read ({error})") from None


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays and metadata of a safetensors file of any origin; bfloat16 becomes float32, which is exact.

    Otherwise the arrays are read-only views of the file's content. Time and memory are proportional to its size.

    Raises
    ------
    FileFormatError
        If it is another kind of file, truncated, or has a dtype that NumPy lacks.
    """
    content = Path(path).read_bytes()
    try:
        entries, start = _entries(content)
        metadata = entries.pop("__metadata__", None)
        brain = [name for name, entry in entries.items() if isinstance(entry, dict) and entry.get("dtype") == "BF16"]
        arrays = _arrays(content, entries | {name: entries[name] | {"dtype": "U16"} for name in brain}, start)
    except (ValueError, TypeError, RecursionError) as error:
        if _is_torch_pickle(content):
            raise FileFormatError(
                f"{path} is a pickle of PyTorch's, and reading it could run code; read it with PyTorch and pass the "
                "dictionary: pynn.load_torch_state(model, torch.load(path, weights_only=True))"
            ) from None
        raise FileFormatError(f"{path} is not a safetensors file, or is truncated ({error})") from None
    # A bfloat16 is the upper half of a float32.
    arrays |= {name: (arrays[name].astype(np.uint32) << 16).view(np.float32) for name in brain}
    return arrays, metadata if isinstance(metadata, dict) else {}


def _is_torch_pickle(content: bytes) -> bool:
    """Return whether a file begins as those of `torch.save` do: an archive with data.pkl, or PyTorch's magic number."""
    return (content[:2] == b"PK" and b"data.pkl" in content[:256]) or content.startswith(TORCH_MAGIC)


def _torch_hint(metadata: Mapping[str, Any]) -> str:
    """Return what to do with a file that PyTorch's safetensors wrote, or an empty text."""
    if metadata.get("format") != "pt":
        return ""
    return " but with PyTorch: build the network and call pynn.load_torch_state(model, path)"


def _entries(content: bytes) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file and the offset of the data."""
    start = 8 + int.from_bytes(content[:8], "little")
    if len(content) < 8 or start > min(len(content), 8 + LARGEST_HEADER):
        raise ValueError(f"it has {len(content)} bytes and claims a header of {start - 8}")
    entries = json.loads(content[8:start])
    if not isinstance(entries, dict):
        raise ValueError("its header is not a list of arrays")
    return entries, start


def _arrays(content: bytes, entries: dict[str, Any], start: int) -> dict[str, np.ndarray]:
    """Return the arrays as views; they must be contiguous from `start` to the end of the file."""
    arrays, bounds = {}, []
    for name, entry in entries.items():
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"{shortened(name, 100)!r} is not described as an array")
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
            raise ValueError(f"{shortened(name, 100)!r} has no shape or no offsets")
        if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
            raise ValueError(f"{shortened(name, 100)!r} has a dtype that NumPy does not support")
        dtype, count = DTYPES[entry["dtype"]], math.prod(shape)
        if offsets[1] - offsets[0] != count * dtype.itemsize or start + offsets[1] > len(content):
            raise ValueError(f"{shortened(name, 100)!r} does not match its offsets")
        arrays[name] = np.frombuffer(content, dtype, count, start + offsets[0]).reshape(shape)
        bounds.append(offsets)
    reached = 0
    for begin, end in sorted(bounds):
        if begin != reached:
            raise ValueError("its arrays are not contiguous")
        reached = end
    if start + reached != len(content):
        raise ValueError(f"it has {len(content)} bytes; expected {start + reached}")
    return arrays


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _own_header(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return pynn's part of the metadata, or an empty dictionary."""
    text = metadata.get("pynn")
    try:
        header = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        header = None
    return header if isinstance(header, dict) else {}


def _checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
    # A foreign file may contain a lone surrogate, which only this error handler can encode.
    encoded = text.encode("utf-8", "surrogatepass")
    try:
        digest = hashlib.sha256(encoded)
    except ValueError as error:  # OpenSSL's way to say so
        raise MemoryError("no memory for a checksum") from error
    names: dict[np.dtype, str] = {}  # cached: NumPy takes 8 us to name a dtype
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        dtype = names.get(array.dtype) or names.setdefault(array.dtype, str(array.dtype))
        digest.update(f"{name} {dtype} {arrays[name].shape}".encode("utf-8", "surrogatepass"))
        digest.update(array.data)
    return digest.hexdigest()
