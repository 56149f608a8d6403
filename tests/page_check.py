"""What is wrong with a page of HTML that is to be read alone, by everybody: found with html.parser, without a browser."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}
LEAVING = re.compile(r"""@import|url\(|https?://|//\w""")


class Page(HTMLParser):
    """Reads a page and collects `faults`, sentences."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.referred: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.svg: set[str] = set()
        self.feed(text)
        self.close()
        if not text.lstrip().lower().startswith("<!doctype html>"):
            self.faults.append("no doctype")
        if self.open:
            self.faults.append(f"never closed: {self.open}")
        self.look_at_all()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if found.get("id"):
            self.ids.append(str(found["id"]))
        self.referred += str(found.get("aria-labelledby") or "").split()
        for name in ("href", "src", "xlink:href", "action", "srcset", "data", "poster"):
            value = found.get(name)
            if value is None:
                continue
            if value.startswith("#") and name == "href":
                self.referred.append(value[1:])
            elif not value.startswith("data:"):
                self.faults.append(f"<{tag}> leaves the file: {name}={value}")
        if any(name.startswith("on") for name in found) or tag == "script":
            self.faults.append(f"<{tag}> runs a script")
        if tag == "img" and not (found.get("alt") or "").strip():
            self.faults.append("an image without a text")
        if tag == "th" and found.get("scope") not in ("row", "col"):
            self.faults.append("a <th> without a scope")
        if tag == "svg":
            self.svg = set()
            if found.get("aria-hidden") != "true" and found.get("role") != "img":
                self.faults.append("an <svg> without a role")
        if "svg" in self.open:
            self.svg.add(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")
        hidden = next((found.get("aria-hidden") for name, found in reversed(self.tags) if name == "svg"), None)
        if tag == "svg" and hidden != "true" and not {"title", "desc"} <= self.svg:
            self.faults.append("an <svg> without a title and a description")

    def handle_data(self, data: str) -> None:
        if not self.open:
            return
        tag = self.open[-1] if "svg" not in self.open else "svg"
        self.text[tag] = self.text.get(tag, "") + data
        if tag == "style" and (found := LEAVING.search(data)):
            self.faults.append(f"the style leaves the file: {found[0]}")

    def look_at_all(self) -> None:
        names = [tag for tag, _ in self.tags]
        html = next((found for tag, found in self.tags if tag == "html"), {})
        if not html.get("lang"):
            self.faults.append("no language")
        if self.headings.count(1) != 1 or self.headings[:1] != [1]:
            self.faults.append("not one <h1>, which comes first")
        if any(b > a + 1 for a, b in zip(self.headings, self.headings[1:], strict=False)):
            self.faults.append(f"a level of headings is left out: {self.headings}")
        if names.count("table") != names.count("caption"):
            self.faults.append("a table without a caption")
        if not self.text.get("title", "").strip() or not {"main", "nav", "header"} <= set(names):
            self.faults.append("no title, or no landmarks")
        self.faults += [f"twice: id={name}" for name in set(self.ids) if self.ids.count(name) > 1]
        self.faults += [f"nothing has the id {name}" for name in self.referred if name not in self.ids]


def faults(text: str) -> list[str]:
    return Page(text).faults
