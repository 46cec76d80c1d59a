"""Loads ``mapping.yaml``, and reports each error with its file, line and field."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from streams.core.errors import MappingError
from streams.mapping.model import Mapping

DEFAULT = Path(__file__).with_name("default.yaml")


class _Loader(yaml.CSafeLoader):
    """YAML in which ``no`` is a word, a date is text, and a repeated key is an error.

    YAML 1.1 reads ``no``, a country or a status text, as false, and silently keeps the last of two equal keys.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value} appears twice", key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


_BOOLEAN, _DATE = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in (_BOOLEAN, _DATE)]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def load_mapping(path: Path | None = None) -> Mapping:
    """Read and check a mapping file; without a path, the shipped default.

    Raises:
        MappingError: the file cannot be read, is not YAML, or has a value that the model refuses. The message has one line for
            each problem, ``file:line: field: problem``.
    """
    file = path or DEFAULT
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise MappingError(f"cannot be read: {reason}", where=str(file), remedy="Set OWDD_MAPPING to the site's file") from None
    try:
        loader = _Loader(text)
        # The nodes keep the line numbers, which the loaded values no longer have.
        root = loader.get_single_node()
        data = None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise MappingError(f"{file}:{line}: not valid YAML: {getattr(error, 'problem', error)}") from error
    if root is None or not isinstance(data, dict):
        raise MappingError(f"{file}:1: expected a mapping of sections, such as 'source:' and 'order:'")
    try:
        return Mapping.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [f"{file}:{_line(root, item['loc'])}: {_field(item['loc'])}: {item['msg']}" for item in problems]
        raise MappingError("\n".join(lines)) from error


def _field(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location) or "(top level)"


def _line(node: yaml.Node, location: Sequence[int | str]) -> int:
    """The line (from 1) of the deepest node on the path ``location``. A missing key has its parent's line."""
    line = node.start_mark.line
    for part in location:
        child = _child(node, part)
        if child is None:
            break
        key, node = child
        line = key.start_mark.line
    return int(line) + 1


def _child(node: yaml.Node, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
