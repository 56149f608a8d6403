"""Ends each given text file with one newline and its lines without spaces. Exit code 1 if a file was changed."""

import sys
from pathlib import Path


def tidy(text: str) -> str:
    return "\n".join(line.rstrip(" \t") for line in text.rstrip().split("\n")) + "\n" if text.strip() else ""


def main(names: list[str]) -> int:
    changed = []
    for name in names:
        text = Path(name).read_bytes().decode("utf-8")
        if (better := tidy(text)) != text:
            Path(name).write_bytes(better.encode("utf-8"))
            changed.append(name)
    print("".join(f"changed {name}\n" for name in changed), end="")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
