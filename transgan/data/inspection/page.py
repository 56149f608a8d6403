"""The report as one HTML file that needs nothing else: tables, and images as training sees them."""

import base64
import re
from collections.abc import Sequence
from html import escape, unescape

from transgan.data.inspection.check import Report, summary
from transgan.data.inspection.finding import LEVELS, Finding
from transgan.data.inspection.sheet import png, seen, sheet
from transgan.data.listed import Listed

TITLE = "transgan data check "  # and the images
SHOWN, LISTED = 8, 50_000  # images and names of a finding
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid #d0d7de }
section { margin: 1rem 0; padding: .6rem 1rem; border-left: 4px solid #d0d7de; background: #f6f8fa }
section.stops { border-color: #cf222e } section.spoils { border-color: #bf8700 }
section.changes { border-color: #0969da } section h3 { margin: 0 0 .3rem; font-size: 1rem }
p { margin: .2rem 0 } img { image-rendering: pixelated; max-width: 100%; margin-top: .4rem }
code, li { font-family: ui-monospace, monospace; font-size: .85rem; overflow-wrap: anywhere }
summary { cursor: pointer; color: #57606a } ul { margin: .3rem 0; padding-left: 1.2rem }
"""


def page(report: Report, source: Listed, chosen: Sequence[str]) -> str:
    """source: where the images are read from; chosen: names of those on the contact sheet."""
    parts = [
        f"<h1>{escape(source.name)}</h1>",
        *(f"<p>{escape(line)}</p>" for line in [*summary(report), *report.notes]),
    ]
    for level, title in LEVELS.items():
        findings = [each for each in report.findings if each.level == level]
        if findings:
            parts.append(f"<h2>{escape(title.capitalize())}</h2>")
            parts += [section(each, source) for each in findings]
    if not report.findings:
        parts.append("<p>Nothing was found that training would stumble over.</p>")
    parts += ["<h2>What to do</h2>", *(f"<p>{escape(line)}</p>" for line in report.advice)]
    if images := seen(source, chosen):
        side = source.resolution
        parts.append(f"<h2>As the networks will see them, {side}x{side}</h2>")
        parts.append(embedded(png(sheet(images, max(1, min(16, 960 // max(48, side)))))))
    title = escape(f"{TITLE}{report.path}")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return (
        f"<!doctype html><html lang=en><head>{head}<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def images_of(text: str) -> str | None:
    """Where the images of a page are, as its command named them; None for another text."""
    found = re.search(f"<title>{TITLE}(.*?)</title>", text, re.DOTALL)
    return unescape(found[1]) if found else None


def section(finding: Finding, source: Listed) -> str:
    """One finding, with the images it is about."""
    groups = finding.groups or [[name] for name in finding.files]
    items = [finding.line(group) for group in groups[:LISTED]]
    more = f"<li>and {len(groups) - LISTED:,} more: json=FILE names all</li>" if len(groups) > LISTED else ""
    listing = "".join(f"<li>{escape(item)}</li>" for item in items) + more
    shown = [name for group in groups[:SHOWN] for name in group[:2]][: 2 * SHOWN if finding.groups else SHOWN]
    images = seen(source, shown)
    strip = embedded(png(sheet(images, max(1, min(16, 960 // max(48, source.resolution)))))) if images else ""
    names = f"<details{' open' if len(groups) < 9 else ''}><summary>names</summary><ul>{listing}</ul></details>"
    return (
        f'<section class="{finding.level}"><h3>{escape(finding.title)}: {finding.amount}</h3>'
        f"<p>Training {escape(finding.training)}.</p><p>Way out: {escape(finding.way)}.</p>"
        f"{names if items else ''}{strip}</section>"
    )


def embedded(data: bytes) -> str:
    return f'<img alt="images as training sees them" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
