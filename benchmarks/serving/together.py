"""Put the results of all benchmarks together: one text, one picture, the aims."""

import re
from pathlib import Path
from typing import Any, Final

import chart
import msgspec
from aims import aims, slots_of
from measuring import sentence, table

SUMMARISED: Final = "single-quick"


def put_together(date: str, folder: Path, parts: dict[str, Path]) -> Path:
    """Write text, picture and JSON of the parts that there are; return the text's path."""
    there = {name: file for name, file in parts.items() if file.exists()}
    stem = folder / date
    found = aims(there)
    head = ("figure", "aim", "measured", "met")
    lines = [[one.about, one.aim, one.measured, "yes" if one.met else "**no**"] for one in found]
    text = [f"# Serving, {date}", "", *_conditions(there), *table(head, lines), ""]
    if SUMMARISED in there:
        picture = stem.with_suffix(".png")
        chart.summary(slots_of(there[SUMMARISED]), picture)
        text += [f"![All servers at 32 connections]({picture.name})", ""]
    for file in there.values():
        text += [_lowered(file.with_suffix(".md").read_text()), ""]
    written = stem.with_suffix(".md")
    written.write_text("\n".join(text))
    named = {name: file.name for name, file in there.items()}
    packed = msgspec.json.encode({"date": date, "aims": found, "parts": named})
    stem.with_suffix(".json").write_bytes(msgspec.json.format(packed) + b"\n")
    return written


def _conditions(there: dict[str, Path]) -> list[str]:
    for file in there.values():
        held: dict[str, Any] = msgspec.json.decode(file.read_bytes())["conditions"]
        return [sentence({**held, "how": ""}).strip(), ""]
    return []


def _lowered(text: str) -> str:
    """Return a text with each heading one level lower."""
    return re.sub(r"^#", "##", text, flags=re.MULTILINE)
