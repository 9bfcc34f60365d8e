"""Tables of JSON: a list of records, or one record per line."""

from __future__ import annotations

import codecs
import io
import json
import os
from pathlib import Path

import polars as pl


def read_json(path: str | os.PathLike[str], reader: str) -> pl.DataFrame:
    """Return what polars' "read_json" or "read_ndjson" reads from a file, and NaN, which other programs write.

    The types of the columns come from all records: of the first hundred, polars leaves out what only later ones have,
    and refuses numbers that are no longer whole.
    """
    content = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
    try:
        frame: pl.DataFrame = getattr(pl, reader)(io.BytesIO(content), infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        if b"NaN" not in content and b"Infinity" not in content:
            raise
        # No JSON, but Python's json writes them; its reader takes four times as long as polars.
        lines = content.splitlines() if reader == "read_ndjson" else [content]
        read = [json.loads(line) for line in lines if line.strip()]
        records = read if reader == "read_ndjson" else read[0]
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise ValueError('expected records with the names of the columns, such as {"size": 1.5}') from None
        frame = pl.DataFrame(records, infer_schema_length=None)
    return frame
