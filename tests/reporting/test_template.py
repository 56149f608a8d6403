"""The page's template: its colours can be read in both schemes, and the check of pages finds what it is for."""

import re
from pathlib import Path

import pytest

import transgan.reporting
from page_check import faults

STYLE = (Path(transgan.reporting.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
GOOD = (
    '<!doctype html><html lang="en"><head><title>t</title><style>p { color: red }</style></head><body><header><h1>a</h1>'
    '</header><nav><a href="#x">x</a></nav><main><h2 id="x">b</h2><img alt="c" src="data:,">'
    '<table><caption>d</caption><tr><th scope="col">e</th></tr></table>'
    '<svg role="img" aria-labelledby="f"><title id="f">f</title><desc>g</desc></svg></main></body></html>'
)


def schemes() -> dict[str, dict[str, str]]:
    """Custom properties by scheme: light, dark and print."""
    light, dark, printed = (
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.S)
    )
    return {"light": light, "dark": light | dark, "print": light | dark | printed}


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_of_black_and_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_colours_can_be_read(scheme):
    colours = schemes()[scheme]
    for text in ("text", "muted", "link"):
        for ground in ("page", "raised"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for line in ("s0", "s1", "s2", "s3", "s4", "s5"):
        assert contrast(colours[line], colours["page"]) >= 3, line


def test_no_colour_is_outside_of_the_schemes():
    rest = re.sub(r":root \{.*?\}", "", STYLE, flags=re.S)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", rest)
    assert "prefers-color-scheme: dark" in STYLE and "@media print" in STYLE


def test_a_good_page_has_no_faults():
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    "before, after, fault",
    [
        (' lang="en"', "", "no language"), ("<!doctype html>", "", "no doctype"), ("<h2", "<h3", "closes nothing"),
        ("<h1>a</h1>", "", "not one <h1>"), ("<h2 id=\"x\">b</h2>", '<h3 id="x">b</h3>', "headings is left out"),
        ('alt="c"', 'alt=""', "without a text"), ('src="data:,"', 'src="https://a.b/c.png"', "leaves the file"),
        ("color: red", "background: url(a.png)", "style leaves"), ("color: red", "@import 'a.css'", "style leaves"),
        ('href="#x"', 'href="#y"', "nothing has the id y"), (' scope="col"', "", "without a scope"),
        ("<caption>d</caption>", "", "without a caption"), ("<desc>g</desc>", "", "without a title and a description"),
        (' role="img"', "", "without a role"), ("<main>", "<main><script>1</script>", "runs a script"),
        ("<main>", '<main onclick="a()">', "runs a script"), ("<title>t</title>", "", "no title"),
        ('id="f"', 'id="x"', "twice: id=x"), ("</main>", "", "closes nothing"),
    ],
)  # fmt: skip
def test_a_fault_would_be_found(before, after, fault):
    assert before in GOOD
    assert any(fault in each for each in faults(GOOD.replace(before, after, 1)))
