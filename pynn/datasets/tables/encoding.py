"""The text of a file: unpacked, and decoded by the encoding that it is in."""

from __future__ import annotations

import codecs
import gzip
import os
import re
import zlib
from pathlib import Path

# UTF-32 first: its byte order mark starts with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BINARY = {
    b"PK\x03\x04": "a zip archive or an Excel workbook: call a workbook .xlsx, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: call it .xls, or save it as CSV",
    b"PAR1": "a Parquet file: call it .parquet",
}
#: How text starts that is no table.
_FOREIGN = {
    r"\s*<(?:!doctype|html|\?xml)": "a web page or XML, maybe of an error or a login instead of the table",
    r'\s*(?:\[\s*\{|\{\s*")': "JSON: call it .json, or .jsonl if each line holds a record",
}
#: The signs of Windows-1252 but blanks, apostrophes and dashes.
_SIGNS = bytes(
    {*range(0x80, 0xC0)} - {*b"\x81\x8a\x8c\x8d\x8e\x8f\x90\x91\x92\x96\x97\x9a\x9c\x9d\x9e\x9f\xa0\xad\xb4\xb7"}
)
#: What Windows-1252 makes of text in another encoding: control characters, words without plain letters (Cyrillic,
#: Greek, Chinese), and capitals or signs within words (Mac Roman, DOS, Polish).
_IMPLAUSIBLE = re.compile(
    r"[\x01-\x08\x0e-\x1f\x7f]|\bÿ|[À-ÖØ-öø-ÿŠŒŽšœžŸ]{3}|[A-Za-zß-öø-ÿ][À-ÖØ-ÞŠŒŽŸ][a-z]"
    rf"|[A-Za-z][{_SIGNS.decode('cp1252')}][A-Za-z]|[£-©¬-³µ-¾][À-ÿ]"
)
#: A character of several bytes in UTF-8.
_SEVERAL_BYTES = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def text_of(path: str | os.PathLike[str], encoding: str | None = None, otherwise: str | None = None) -> tuple[str, str]:
    """Return the text of a file, and its encoding if that was a guess, else "".

    Parameters
    ----------
    path : str or path
        The file; one that gzip packed is unpacked.
    encoding : str, optional
        What the user says that it is.
    otherwise : str, optional
        What it is if it is not UTF-8: the encoding of the file that a schema was made of.

    Returns
    -------
    tuple of str and str
        By default, a byte order mark tells the encoding. Without one, the text is UTF-8; otherwise UTF-16, if every
        second byte is 0; otherwise Windows-1252, if that gives words.

    Raises
    ------
    ValueError
        If the file is not text, or its encoding is not evident.
    """
    raw = _unpacked(path)
    for start, what in _BINARY.items():
        if raw.startswith(start):
            raise ValueError(f"{path} is {what}")
    marked = next((encoding for mark, encoding in _MARKS.items() if raw.startswith(mark)), None)
    guess = ""
    if encoding is None and marked is None:
        guess = _guessed(raw, otherwise)
    text = _decoded(path, raw, encoding or marked or guess or "utf-8").removeprefix("\ufeff").removesuffix("\x1a")
    for pattern, what in _FOREIGN.items():
        if re.match(pattern, text, re.IGNORECASE):
            raise ValueError(f"{path} is {what}")
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        raise ValueError(f"{path}, line {line}: a NUL character; expected text: save it as UTF-8")
    return text, guess


def _unpacked(path: str | os.PathLike[str]) -> bytes:
    raw = Path(path).read_bytes()
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is a damaged gzip file: {error}") from error


def _decoded(path: str | os.PathLike[str], raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not {encoding.upper()} text: {error.reason} {raw[error.start : error.end].hex(' ')} in line "
            f"{line}; save it as UTF-8, or say its encoding (encoding, --encoding), such as cp1252 for Western Europe, "
            "cp1251 for Cyrillic, mac_roman of old Macintoshes"
        ) from error
    except (LookupError, ValueError) as error:
        raise ValueError(f"encoding is {encoding!r}, which is not one that Python knows: {error}") from error


def _guessed(raw: bytes, otherwise: str | None) -> str:
    """Return the encoding of bytes without a mark if it is not UTF-8 and evident, else ""."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        if otherwise is not None:
            return otherwise
    else:
        return _utf_16(raw) if b"\0" in raw else ""
    if b"\0" in raw:
        return _utf_16(raw)
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    # Of text in UTF-8 that is damaged, most characters are whole.
    several = sum(len(found) for found in _SEVERAL_BYTES.findall(raw))
    foreign = sum(len(found) for found in re.findall(rb"[\x80-\xff]+", raw))
    return "" if 2 * several > foreign or _IMPLAUSIBLE.search(text) else "cp1252"


def _utf_16(raw: bytes) -> str:
    """Return the UTF-16 in which half of the bytes of plain text are 0, if it can be that, else ""."""
    for zeros, others, encoding in ((raw[1::2], raw[::2], "utf-16-le"), (raw[::2], raw[1::2], "utf-16-be")):
        if len(raw) % 2 == 0 and 2 * zeros.count(0) > len(zeros) and not others.count(0):
            return encoding
    return ""
