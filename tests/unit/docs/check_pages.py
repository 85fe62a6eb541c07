#!/usr/bin/python3
"""Holds README.md and docs/ to the agent: check_pages.py ROOT WEFTD WEFT

- docs/troubleshooting.md explains every reason of the families in EXPLAINED, and none that is not there.
- Keys that a page names are the configuration's (docs/configuration.md, which docs_metrics compares with the source).
- Examples that begin with "# weft.yaml" are taken by weftd --check-config.
- Commands and options of `weft` and `weftd` that a page shows are in their help; scripts are there.
- docs/README.md leads to every page beside it.

Prints a line for each fault and exits 1 when there is any.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

EXPLAINED = ("weft_records_dropped", "weft_messages_refused", "weft_connections_closed", "weft_export_dropped")
TROUBLE = "docs/troubleshooting.md"
KEY = re.compile(r"`([a-z][a-z0-9_]*(?:\[\])?(?:\.[a-z][a-z0-9_]*(?:\[\])?)+)`")
FOREIGN = {"cluster"}  # Envoy's statistics begin so, too
FILE_SUFFIXES = {"md", "yaml", "yml", "json", "c", "h", "sock", "service", "socket", "proto"}


def reasons_of(table, family):
    """From agent/core/metrics_table.h."""
    return set(re.findall(rf'"{family}",[^"]*"[^\n]*?reason=\\"(\w+)\\"', table))


def explained_reasons(page):
    """{family: [reason]} of the tables headed `reason`: theirs is the family that was named last before them."""
    found, family, inside = {}, None, False
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else None
        named = re.findall(r"`(weft_\w+?)_total", line)
        if cells and cells[0] == "reason":
            inside = True
        elif cells and inside:
            found.setdefault(family, []).extend(re.findall(r"^`(\w+)`$", cells[0]))
        elif not cells:
            inside = False
            family = named[-1] if named else family
    return found


def check_reasons(root):
    table = (root / "agent/core/metrics_table.h").read_text()
    explained = explained_reasons((root / TROUBLE).read_text())
    for family in EXPLAINED:
        reasons, told = reasons_of(table, family), explained.get(family, [])
        if not reasons:
            yield f"agent/core/metrics_table.h: no reasons of {family}"
        for reason in sorted(reasons - set(told)):
            yield f"{TROUBLE}: does not explain {family} {reason}"
        for reason in sorted(set(told) - reasons):
            yield f"{TROUBLE}: {family} has no reason {reason}"
        if len(told) != len(set(told)):
            yield f"{TROUBLE}: explains a reason of {family} twice"


def known_keys(root):
    """Keys and groups as docs/configuration.md has them, without []."""
    keys = re.findall(r"^\| `([a-z][\w.\[\]]*)` \|", (root / "docs/configuration.md").read_text(), re.M)
    parts = [key.replace("[]", "").split(".") for key in keys]
    return {".".join(part[:depth]) for part in parts for depth in range(1, len(part) + 1)}


def check_keys(name, text, keys):
    tails = {key.split(".", at)[-1] for key in keys for at in range(1, key.count(".") + 1)}
    for key in KEY.findall(text):
        plain = key.replace("[]", "")
        if plain.rpartition(".")[2] in FILE_SUFFIXES or plain.partition(".")[0] in FOREIGN:
            continue
        if plain.partition(".")[0] in keys and plain not in keys and plain not in tails:
            yield f"{name}: no key {key}"


def check_examples(name, text, weftd):
    for number, example in enumerate(re.findall(r"^```yaml\n(# weft\.yaml.*?)^```$", text, re.S | re.M), 1):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(example)
            file.flush()
            checked = subprocess.run([weftd, "--config", file.name, "--check-config"], capture_output=True, text=True)
        if checked.returncode != 0:
            yield f"{name}: example {number} of weft.yaml: {checked.stderr.strip()}"


def shown_lines(text):
    """What a page shows to be typed: code blocks without a language, and code spans."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M):
        if not language:
            yield from (line.removeprefix("$ ").split("#")[0] for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


def help_of(program, *command):
    return subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=False).stdout


def check_commands(root, name, text, weftd, weft):
    """Words that follow `weft` in a sentence are none of its commands; those of a line that begins with it are."""
    commands = set(re.findall(r"^  ([a-z]+)  ", help_of(weft), re.M))
    for line in shown_lines(text):
        for script in re.findall(r"(?:^|\s)(scripts/[\w-]+)", line):
            if not (root / script).exists():
                yield f"{name}: no {script}"
        used = re.search(r"(?:^|[\s;(/])(weftd|weft)\b((?: [^|;&)]+)?)", line)
        if not used or used[2] == "" or re.match(r" [^a-z-]", used[2]):
            continue
        words = used[2].split()
        if used[1] == "weftd":
            helped = help_of(weftd)
        elif words[0] in commands:
            helped = help_of(weft, words[0]) if words[0] != "version" else ""
        elif line.lstrip().startswith(("weft ", "build/release/weft ")) and not words[0].startswith("-"):
            yield f"{name}: weft has no command {words[0]}"
            continue
        else:
            continue
        for option in re.findall(r"(?<=\s)--[a-z-]+", used[2]):
            if option != "--help" and option not in helped:
                yield f"{name}: {used[1]} {words[0]} has no {option}"


def check_index(root):
    index = (root / "docs/README.md").read_text()
    for page in sorted((root / "docs").glob("*.md")):
        if page.name != "README.md" and f"({page.name})" not in index:
            yield f"docs/README.md: does not lead to {page.name}"
    for folder in sorted((root / "docs").glob("*/README.md")):
        if f"({folder.parent.name}/README.md)" not in index:
            yield f"docs/README.md: does not lead to {folder.parent.name}"


def main():
    root, weftd, weft = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    keys = known_keys(root)
    faults = [*check_reasons(root), *check_index(root)]
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    for page in pages:
        name, text = str(page.relative_to(root)), page.read_text()
        if name != "docs/configuration.md":
            faults += check_keys(name, text, keys)
        faults += check_examples(name, text, weftd)
        faults += check_commands(root, name, text, weftd, weft)
    for fault in faults:
        print(fault)
    print(f"docs: {len(pages)} pages, {len(keys)} keys, {len(faults)} faults")
    return 1 if faults or len(pages) < 10 or len(keys) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
