#!/usr/bin/python3
"""Writes the dashboards of grafana/ from boards.py.

    dashboards/generate.py            writes them
    dashboards/generate.py --check    exits 1 when a file is not what would be written
"""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

from boards import BOARDS  # noqa: E402
from panels import text_of  # noqa: E402


def main():
    texts = {FOLDER / "grafana" / f"{name}.json": text_of(make()) for name, make in BOARDS.items()}
    there = set((FOLDER / "grafana").glob("*.json"))
    if sys.argv[1:] == ["--check"]:
        wrong = [path for path, text in texts.items() if path not in there or path.read_text() != text]
        wrong += sorted(there - texts.keys())
        if wrong:
            names = ", ".join(path.name for path in wrong)
            sys.exit(f"not what boards.py says: {names}; run dashboards/generate.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        for path, text in texts.items():
            path.write_text(text)


main()
