"""The report as one HTML page."""

from __future__ import annotations

from html import escape

from .report import Check, Report

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1c1e21; --soft: #5c6470; --line: #d9dde3; --card: #f6f7f9;
  --pass: #1a7f37; --warn: #9a6700; --fail: #cf222e; --skip: #6e7781; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --text: #e4e7eb; --soft: #9aa4b0; --line: #333a42;
  --card: #1d2126; --pass: #57c56f; --warn: #e0b040; --fail: #ff7b72; --skip: #8b949e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
.summary { margin: 0 0 1.5rem; color: var(--soft); }
ul { list-style: none; margin: 0; padding: 0; }
li { border-top: 1px solid var(--line); padding: .7rem 0; }
li { display: grid; grid-template-columns: 4rem 1fr; gap: 0 .5rem; }
li.fail, li.warn { background: var(--card); padding-inline: .6rem; margin-inline: -.6rem; }
.status { font-weight: 700; } h2 { font-size: 1rem; margin: 0; }
.pass .status { color: var(--pass); } .warn .status { color: var(--warn); }
.fail .status { color: var(--fail); } .skip .status { color: var(--skip); }
p { margin: 0; overflow-wrap: anywhere; } .where { color: var(--soft); font-weight: 400; }
.evidence { color: var(--soft); } .advice { font-weight: 600; }
li > div { min-width: 0; }
@media (max-width: 30rem) { li { grid-template-columns: 1fr; } }
"""


def render(report: Report) -> str:
    """Return the page; it refers to nothing outside itself."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>pynn preflight: {report.status}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<h1>Preflight: {report.status}</h1>\n<p class="summary">{escape(report.summary())}</p>\n<ul>\n'
        + "".join(map(_item, report.checks))
        + "</ul>\n</body>\n</html>\n"
    )


def _item(check: Check) -> str:
    where = ", ".join(escape(text) for text in (check.layer, check.symptom) if text)
    where = f' <span class="where">{where}</span>' if where else ""
    advice = f'<p class="advice">{escape(check.advice)}</p>' if check.status in ("warn", "fail") else ""
    return (
        f'<li class="{check.status}"><span class="status">{check.status}</span><div>'
        f"<h2>{escape(check.name)}{where}</h2>"
        f'<p class="evidence">{escape(check.evidence)}</p>{advice}</div></li>\n'
    )
