"""docs/configuration.md, for scripts/generate-docs: what a key takes comes from the tables of agent/config/schema.c, which
a few lines of C print; what it does from the comments of docs/weft.example.yaml. A key of the one that the other lacks is
an error."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

PRINTER = r"""
#include <inttypes.h>
#include <stdio.h>
#include "config/schema.h"

static const char *const kinds[] = {
    [CONFIG_KIND_STRING] = "text", [CONFIG_KIND_SECRET] = "secret", [CONFIG_KIND_SECRET_FILE] = "secret_file",
    [CONFIG_KIND_FILE] = "file", [CONFIG_KIND_BOOL] = "bool", [CONFIG_KIND_INTEGER] = "integer",
    [CONFIG_KIND_SIGNED] = "signed", [CONFIG_KIND_FRACTION] = "fraction", [CONFIG_KIND_MODE] = "mode",
    [CONFIG_KIND_CHOICE] = "choice", [CONFIG_KIND_CHOICES] = "choices", [CONFIG_KIND_STRINGS] = "texts",
    [CONFIG_KIND_MS_LIST] = "milliseconds"};

static void print(const char *path, const struct config_field *field, void *user)
{
    (void)user;
    printf("%s\t%s\t%s\t%s\t", path, kinds[field->kind], field->apply == CONFIG_APPLY_LIVE ? "live" : "restart",
        field->value != NULL ? field->value : "\a");
    printf(field->kind == CONFIG_KIND_SIGNED ? "%" PRId64 "\t%" PRId64 "\t" : "%" PRIu64 "\t%" PRIu64 "\t",
        field->smallest, field->largest);
    for (size_t i = 0; field->choices != NULL && field->choices[i] != NULL; i++) {
        printf("%s ", field->choices[i]);
    }
    printf("\n");
}

int main(void)
{
    config_schema_visit(print, NULL);
    return 0;
}
"""

INTRODUCTION = """# Configuration

Written by `scripts/generate-docs` from the agent's own tables and the comments of [weft.example.yaml](weft.example.yaml); do not edit.

No key is needed. `weftd --config FILE` reads a YAML file; without that option there is none, and none is looked for. What is
said in several places: an option of `weftd` goes before the file, the file before the default.

| to | do |
|---|---|
| see what is wrong, and on which line | `weftd --config FILE --check-config`; exit code 2 when something is |
| see what a file would make of every key | `weftd --config FILE --effective-config`; secrets are masked |
| see what the running agent has in force | `weft config` |
| have the running agent read its file again | SIGHUP (`systemctl reload weft`) |

A reload changes *live* keys at once. A change of a *restart* key waits for a new start: the log and `weft config` name it, and
`weft_config_keys_waiting_for_restart` counts. With any error the agent goes on with what it had, and
`weft_config_last_reload_successful` is 0.

Any value may hold `${VARIABLE}` or `${VARIABLE:-default}`; `$$` stands for a `$`. An unset variable without a default is an error, as is a
key that is not on this page, or one that is there twice. `[]` in a key stands for the items of a list.

## Environment

| variable | what it does |
|---|---|
| `OTEL_EXPORTER_OTLP_ENDPOINT`; with the same beginning `PROTOCOL`, `HEADERS`, `COMPRESSION`, `TIMEOUT`, `INSECURE`, `CERTIFICATE`, `CLIENT_CERTIFICATE`, `CLIENT_KEY`; each with `TRACES_` or `METRICS_` in between for one signal alone; with `METRICS_` also `TEMPORALITY_PREFERENCE`, `DEFAULT_HISTOGRAM_AGGREGATION` | destinations `env-traces` and `env-metrics`, where the file has none under `exporters.otlp`; as OpenTelemetry's specification has it |
| `XDG_RUNTIME_DIR` | the sockets lie below, unless the agent is root |
| `AWS_PROFILE` and its kin | credentials of destinations with `aws.region`: [aws.md](aws.md) |
| `NOTIFY_SOCKET`, `LISTEN_FDS`, `WATCHDOG_USEC` and their kin | the service manager's |
| `WEFT_API`, `WEFT_SOCKET` | not the agent's, but of `weft` and libweft: where the agent is |
"""

KEY_LINE = re.compile(r"^( *)(- )?([a-z0-9_]+):(?: (.*))?$")
CODE = re.compile(
    r"(?<![`\w/.])(\$\{[^}]*\}|\$[A-Z_]+(?:/[\w./]+)?"  # variables
    r"|(?:receivers|limits|identity|metrics|trace|socket|exporters|http)\.[a-z_.\[\]]*[a-z_]|[a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?![\w/`])"
)


def schema_keys(root):
    """{path: (kind, apply, default or None, smallest, largest, [choices])} in the schema's order."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder, "printer.c"), pathlib.Path(folder, "printer")
        source.write_text(PRINTER)
        command = [*shlex.split(os.environ.get("CC", "cc")), "-std=gnu17", "-D_GNU_SOURCE", "-w"]
        command += ["-I", str(root / "agent"), "-I", str(root / "include"), "-o", str(program)]
        subprocess.run([*command, str(source), str(root / "agent/config/schema.c")], check=True)
        printed = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    keys = {}
    for line in printed.splitlines():
        path, kind, apply, default, smallest, largest, choices = line.split("\t")
        keys[path] = (kind, apply, None if default == "\a" else default, int(smallest), int(largest), choices.split())
    return keys


def example_comments(text):
    """{path: comment} of the example's keys and groups: the lines above a key, else what follows it on its line."""
    comments, above, stack = {}, [], []  # stack: [column, path, is a list]
    for line in text.splitlines():
        line = line[3:] if line.startswith("#: ") else line
        key = KEY_LINE.match(line)
        if line.lstrip().startswith("# "):
            above.append(line.lstrip()[2:].strip())
        elif key:
            column = len(key[1]) + len(key[2] or "")
            while stack and stack[-1][0] >= column:
                stack.pop()
            if stack and key[2]:
                stack[-1][2] = True
            parent = f"{stack[-1][1]}{'[]' if stack[-1][2] else ''}." if stack else ""
            stack.append([column, parent + key[3], False])
            beside = re.search(r"(?:^|\s)# (.*)$", key[4] or "")
            comment = " ".join([*above, *([beside[1]] if beside else [])])
            comments.setdefault(parent + key[3], re.sub(r"\s*\[(live|restart)\]$", "", comment))
            above = []
        else:
            above = []
    return comments


def sentence(text, as_they_are=()):
    """Capital first, unless it begins with a value or a name."""
    text = re.sub(r"^[\s;,:]+|[\s;,]+$", "", text)
    word = re.match(r"[a-z]+(?=[ ,;']|$)", text)
    return text[:1].upper() + text[1:] if word and word[0] not in as_they_are else text


def without_range(comment, key):
    """The comment less the range and the default, which have columns of their own."""
    _, _, default, smallest, largest, _ = key
    comment = re.sub(rf"(?:[;,] |^){re.escape(f'{smallest} to {largest}')}(?! and)(?=[;,:.]|$)", "", comment)
    if default:
        comment = re.sub(rf"(?:[;,] |^)default {re.escape(default)}(?=[;,.]|$)", "", comment)
    return comment


def markdown(text):
    text = re.sub(r"[<|*]", lambda match: {"<": "&lt;", "|": r"\|", "*": r"\*"}[match[0]], text)
    return CODE.sub(r"`\1`", text)


def takes(key):
    kind, _, _, smallest, largest, choices = key
    listed = ", ".join(f"`{choice}`" for choice in choices)
    return {
        "text": f"text, {smallest} to {largest:,} bytes",
        "secret": f"secret, at most {largest:,} bytes",
        "secret_file": f"file with a secret of at most {largest:,} bytes",
        "file": "file",
        "bool": "`true`, `false`",
        "integer": f"{smallest:,} to {largest:,}",
        "signed": f"{smallest} to {largest}",
        "fraction": "0 to 1",
        "mode": "octal mode",
        "choice": listed,
        "choices": f"list of {listed}",
        "texts": f"list of texts, {smallest} to {largest:,} bytes each",
        "milliseconds": "rising list of milliseconds",
    }[kind]


def default_of(key):
    kind, _, default, _, _, _ = key
    if default is None:
        return "–"
    if default == "":
        return "none" if kind in ("texts", "choices", "milliseconds") else '`""`'
    return ", ".join(f"`{item}`" for item in default.split()) if kind in ("texts", "choices", "milliseconds") else f"`{default}`"


def values_of(key):
    return {"true", "nginx", *key[5]}


def sections(keys, comments):
    """Markdown of one group after the other, that of the keys at the top first."""
    groups = {"": []}
    for path in keys:
        prefix = path.rpartition(".")[0]
        if prefix:
            groups.setdefault(prefix.partition(".")[0], [])  # also those that hold groups alone
        groups.setdefault(prefix, []).append(path)
    for prefix, paths in groups.items():
        yield f"{'###' if '.' in prefix else '##'} {f'`{prefix}`' if prefix else 'At the top'}"
        yield ""
        about = comments.get(prefix.removesuffix("[]"), "")
        if about:
            yield markdown(sentence(about)) + ("" if about.endswith(".") else ".")
            yield ""
        if paths:
            yield "| key | takes | default | applies | what it does |"
            yield "|---|---|---|---|---|"
            for path in paths:
                does = markdown(sentence(without_range(comments[path], keys[path]), values_of(keys[path])))
                yield f"| `{path}` | {takes(keys[path])} | {default_of(keys[path])} | {keys[path][1]} | {does} |"
            yield ""


def document(root):
    keys = schema_keys(root)
    comments = example_comments((root / "docs" / "weft.example.yaml").read_text())
    missing = [path for path in keys if path not in comments]
    if missing:
        sys.exit(f"docs/weft.example.yaml does not show {', '.join(missing)}")
    tops = dict.fromkeys(path.partition(".")[0].removesuffix("[]") for path in keys if "." in path)
    contents = ["[at the top](#at-the-top)", *(f"[{top}](#{top})" for top in tops)]
    return "\n".join([INTRODUCTION, f"Keys: {', '.join(contents)}.\n", *sections(keys, comments)])
