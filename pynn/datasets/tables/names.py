"""Which files are tables, by their names."""

from __future__ import annotations

import os
from pathlib import Path

#: Suffixes of text files whose cells a delimiter separates; each may be followed by ".gz".
DELIMITED = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat", ".arff")
#: The other formats, with the function of polars that reads each.
OTHERS = {
    ".parquet": "read_parquet",
    ".arrow": "read_ipc",
    ".feather": "read_ipc",
    ".json": "read_json",
    ".jsonl": "read_ndjson",
    ".ndjson": "read_ndjson",
    ".xlsx": "read_excel",
    ".xls": "read_excel",
    ".ods": "read_excel",
}


def is_table(path: str | os.PathLike[str]) -> bool:
    """Return whether the name of a file says that it is a table."""
    *_, before, last = ["", "", *(suffix.lower() for suffix in Path(path).suffixes)]
    if last == ".gz":
        return before in DELIMITED
    return last in DELIMITED or last in OTHERS
