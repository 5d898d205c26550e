"""The reference of all parameters, docs/params.md: comments of params.yaml, types and ranges of the schema.

`python -m prunet.config.reference` writes it.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from prunet.base.files import replacing
from prunet.config.params import Params

SOURCE, OUTPUT = Path("params.yaml"), Path("docs/params.md")
LINE = re.compile(r"(?P<indent> *)(?P<key>[\w-]+):(?: +(?P<value>[^#\s].*?))?(?: +# (?P<comment>.*))?")
ENTRY = re.compile(r"( *)(- |# )(.*)")
HEADER = """# Parameters

Every value of [params.yaml](../params.yaml), with its default for the study of digits. `dvc exp run -S prune.rate=0.3` runs another value; the stage `check` refuses what lies outside the ranges, by name. `NAME` is a study. [Methods](methods.md) and [pipeline](pipeline.md) say what to use when.
"""  # noqa: E501 (one paragraph of Markdown)
TABLE = "| parameter | default | values | |\n|---|---|---|---|\n"
TYPES = {"integer": "whole number", "string": "text", "boolean": "true, false", "object": "mapping"}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


class Parameter(NamedTuple):
    """A line of params.yaml: its name with those of its blocks, its default as written, and its comments."""

    path: tuple[str, ...]
    default: str | None  # None: a block
    comment: str


def parameters(text: str) -> list[Parameter]:
    """Return the parameters of params.yaml; of its studies, those of the first one, which is called NAME."""
    found: list[Parameter] = []
    blocks: list[str] = []
    above: list[str] = []
    first: str | None = None
    for line in text.splitlines():
        if match := LINE.fullmatch(line):
            depth = len(match["indent"]) // 2
            blocks[depth:] = [match["key"]]
            if blocks[0] == "studies" and depth:
                first = first or blocks[1]
                if blocks[1] == first:
                    found.append(_parameter(("studies", "NAME", *blocks[2:]), match, above))
            else:
                found.append(_parameter(tuple(blocks), match, above))
            above = []
        elif (entry := ENTRY.fullmatch(line)) and entry[2] == "# ":
            above.append(entry[3])
        else:
            above = []
    return found


def _parameter(path: tuple[str, ...], match: re.Match[str], above: list[str]) -> Parameter:
    return Parameter(path, match["value"], " ".join([*above, match["comment"] or ""]).strip())


def render(text: str) -> str:
    """Return the page for the text of params.yaml."""
    schema = Params.model_json_schema()
    introductions: dict[tuple[str, ...], str] = {(): ""}
    rows: dict[tuple[str, ...], list[str]] = {(): []}
    for parameter in parameters(text):
        node = _find(schema, parameter.path)
        if parameter.default is None and node.get("type") != "array":
            introductions[parameter.path] = parameter.comment
            rows[parameter.path] = []
        else:
            default = "see params.yaml" if parameter.default is None else f"`{parameter.default}`"
            cells = [f"`{parameter.path[-1]}`", default, _words(schema, node), parameter.comment]
            row = " | ".join(cell.replace("|", "\\|") for cell in cells)
            rows[parameter.path[:-1]].append(f"| {row} |\n")
    sections = [
        f"\n## {'.'.join(block) or 'All studies'}\n\n{_sentence(introductions[block])}{TABLE}{''.join(own)}"
        for block, own in rows.items()
        if own
    ]
    return "".join([HEADER, *sections])


def _sentence(comment: str) -> str:
    return f"{comment[0].upper()}{comment[1:].removesuffix('.')}.\n\n" if comment else ""


def _find(schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return the schema of a parameter."""
    node = schema
    for name in path:
        named = node.get("properties") or {}
        node = _resolved(
            schema, named[name] if name in named else next(iter(node["patternProperties"].values()))
        )
    return node


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return found


def _words(schema: dict[str, Any], node: dict[str, Any]) -> str:
    """Return a type and range in words; nothing where a function of ours checks the value."""
    if kinds := node.get("anyOf") or node.get("oneOf"):
        words = [_words(schema, _resolved(schema, kind)) for kind in kinds]
        return " or ".join(word for word in words if word)
    if "enum" in node:
        return ", ".join(map(str, node["enum"]))
    kind: str = node.get("type", "")
    if kind == "array":
        return f"list: {_words(schema, _resolved(schema, node['items']))}"
    bounds = ", ".join(f"{sign} {node[name]:g}" for name, sign in BOUNDS.items() if name in node)
    return TYPES.get(kind, kind) + (f" ({bounds})" if bounds else "")


if __name__ == "__main__":
    with replacing(OUTPUT) as partial:
        partial.write_text(render(SOURCE.read_text()))
