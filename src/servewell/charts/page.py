"""A page around drawings: one HTML file that loads nothing, for bright and dark screens."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --back: #ffffff; --ink: #1c2430; --soft: #5b6675;
  --rule: #e3e7ec; --panel: #f6f8fa; --c0: #2563c9; --c1: #c2570c; --c2: #1a7f4b; --c3: #8b3fb0;
  --c4: #b0203a; --c5: #64748b; }
@media (prefers-color-scheme: dark) { :root { --back: #12161c; --ink: #e4e9f0; --soft: #97a3b2;
  --rule: #2a323d; --panel: #1a2029; --c0: #6ea8ff; --c1: #f0a05a; --c2: #5cc98d; --c3: #c994e6;
  --c4: #f07a8c; --c5: #94a3b8; } }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--back);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); }
.lead { font-size: 1.05rem; padding: .75rem 1rem; background: var(--panel);
  border-left: 4px solid var(--c0); border-radius: 0 6px 6px 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem .35rem 0; text-align: left; border-bottom: 1px solid var(--rule);
  vertical-align: top; } th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td:first-child { white-space: nowrap; }
.figures td { white-space: nowrap; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .name { paint-order: stroke; stroke: var(--back); stroke-width: 4px; }
svg .tick { fill: var(--soft); } svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .grid { stroke: var(--rule); } svg .axis { stroke: var(--soft); }
svg .compare { stroke: var(--ink); stroke-dasharray: 3 3; }
svg .line { fill: none; stroke: var(--c); stroke-width: 2; } svg .dashed { stroke-dasharray: 6 4; }
svg .error { fill: none; stroke: var(--c); stroke-width: 1.2; opacity: .55; }
svg .whisker { stroke: var(--ink); stroke-width: 1.2; } svg .leader { stroke: var(--soft); }
svg .mark { fill: var(--c); stroke: var(--back); stroke-width: 1.5; } svg .bar { fill: var(--c); }
svg .box { fill: color-mix(in srgb, var(--c) 30%, var(--back)); stroke: var(--back); }
svg g:hover > .box { fill: color-mix(in srgb, var(--c) 55%, var(--back)); }
svg .inside { pointer-events: none; }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
.c4 { --c: var(--c4); } .c5 { --c: var(--c5); }
"""


def page(heading: str, parts: Iterable[str]) -> str:
    """Return a whole page. The parts are HTML already."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(heading)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{escape(heading)}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def paragraph(text: str, *, kind: str = "") -> str:
    """Return a paragraph: `lead` for the one to read first, `soft` for a remark."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def section(heading: str, *parts: str) -> str:
    """Return parts under a heading."""
    return f"<h2>{escape(heading)}</h2>\n" + "\n".join(parts)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, figures: bool = False) -> str:
    """Return a table that scrolls where the page is narrow; figures are never broken into lines."""
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    kind = ' class="figures"' if figures else ""
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
