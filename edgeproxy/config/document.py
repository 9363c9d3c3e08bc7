"""A YAML text as plain values, with the place of each: the file's line and column for every key path.

The node tree is read, not the constructed values, so nothing in the text can do more than name a value. ``${NAME}`` and
``${NAME:-default}`` are put in after parsing, scalar by scalar: what a variable holds can never become structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from edgeproxy.config.errors import ConfigError, ConfigErrors, Loc, key_path

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_VALUES = 500_000  # aliases included: a small text cannot unfold to a large value

_STRING = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_KNOWN = {
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "value", "map", "seq")
}
_VARIABLE = re.compile(r"\$(?P<escaped>\$)?\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\})?")
# Plain scalars: what YAML 1.1 and people agree on. No octal, sexagesimal or dates: those stay text.
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None}
_WORDS |= dict.fromkeys(("true", "yes", "on"), True) | dict.fromkeys(("false", "no", "off"), False)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?")


class Substitution(NamedTuple):
    """A variable that was put in; ``value`` is never shown."""

    name: str
    value: str


class Document:
    """One file's values (``data``) and where they stand. ``errors`` holds what was wrong in reading it.

    Raises ConfigErrors if the text is no YAML at all, or past its bounds.
    """

    def __init__(self, text: str, file: str, env: Mapping[str, str]) -> None:
        self.file = file
        self.errors: list[ConfigError] = []
        self._env = env
        self._count = 0
        self._texts: dict[int, str] = {}
        self._substituted: dict[int, list[Substitution]] = {}
        self._root = self._compose(text)
        self.data: Any = self._convert(self._root, (), 0)

    def error(self, loc: Loc, message: str, *, at_key: bool = False) -> ConfigError:
        """The mistake at a key path, or as near to it as the text goes."""
        node, key, found = self._find(loc)
        at_key = at_key or loc[-1:] == ("[key]",) or isinstance(node, yaml.CollectionNode)
        mark = (key if key is not None and at_key else node).start_mark
        missing = len(loc) == len(found) + 1 and isinstance(node, yaml.MappingNode) and loc[-1] != "[key]"
        path = key_path(loc if missing else found)
        return ConfigError(self.file, mark.line + 1, mark.column + 1, path, self._redacted(message, node), loc)

    def take_text(self, loc: Loc) -> bool:
        """Replace the number or truth value at a key path by its text as written; whether there was one."""
        node, _, found = self._find(loc)
        text = self._texts.get(id(node))
        if found != loc or text is None or not loc:
            return False
        parent = self.data
        for part in loc[:-1]:
            parent = parent[part]
        if parent[loc[-1]] is None or isinstance(parent[loc[-1]], str):
            return False
        parent[loc[-1]] = text
        return True

    # -- reading ----------------------------------------------------------------------------------------------------

    def _compose(self, text: str) -> yaml.Node:
        if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            raise ConfigErrors([ConfigError(self.file, 0, 0, "", f"larger than {MAX_BYTES // 1000} KB")])
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = ", ".join(part for part in (error.context, error.problem) if part)
            place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            raise ConfigErrors([ConfigError(self.file, *place, "", f"not valid YAML: {said}")]) from None
        except yaml.reader.ReaderError as error:
            before = text[: error.position]
            place = (before.count("\n") + 1, error.position - before.rfind("\n"))
            message = f"not valid YAML: the character #x{ord(text[error.position]):04x} is not allowed"
            raise ConfigErrors([ConfigError(self.file, *place, "", message)]) from None
        except RecursionError:
            raise ConfigErrors([ConfigError(self.file, 0, 0, "", f"nested deeper than {MAX_DEPTH} levels")]) from None
        if node is None:
            raise ConfigErrors([ConfigError(self.file, 1, 1, "", "the file is empty")])
        return node

    def _convert(self, node: yaml.Node, loc: Loc, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise ConfigErrors([self._at(node, (), f"aliases unfold to more than {MAX_VALUES} values")])
        if depth > MAX_DEPTH:
            raise ConfigErrors([self._at(node, (), f"nested deeper than {MAX_DEPTH} levels")])
        if node.tag not in _KNOWN:
            self.errors.append(self._at(node, loc, f"the tag {node.tag} means nothing here"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self._convert(item, (*loc, index), depth + 1) for index, item in enumerate(node.value)]
        return self._scalar(node, loc) if isinstance(node, yaml.ScalarNode) else None

    def _mapping(self, node: yaml.MappingNode, loc: Loc, depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        places: dict[str, yaml.Mark] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(source, yaml.MappingNode):
                        merged = self._convert(source, loc, depth + 1) | merged
                    else:
                        self.errors.append(self._at(source, loc, "<< takes a map, or a list of maps"))
            elif not isinstance(key, yaml.ScalarNode):
                self.errors.append(self._at(key, loc, "a key must be a plain word"))
            elif key.value in places:
                line = places[key.value].line + 1
                self.errors.append(self._at(key, (*loc, key.value), f"given twice; the first is in line {line}"))
            else:
                places[key.value] = key.start_mark
                own[key.value] = self._convert(value, (*loc, key.value), depth + 1)
        return merged | own

    def _scalar(self, node: yaml.ScalarNode, loc: Loc) -> Any:
        text = self._substitute(node, loc) if "${" in node.value else node.value
        self._texts[id(node)] = text
        if node.style is not None or (node.tag == _STRING and id(node) not in self._substituted):
            return text
        word = text.lower()
        if word in _WORDS:
            return _WORDS[word]
        if _INTEGER.fullmatch(text) and len(text) < 20:
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _substitute(self, node: yaml.ScalarNode, loc: Loc) -> str:
        used = self._substituted.setdefault(id(node), [])

        def put_in(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            if match["escaped"]:
                return match[0][1:]
            if name is None:
                self.errors.append(self._at(node, loc, "write ${NAME} or ${NAME:-default}; $${ stands for ${ itself"))
                return ""
            value = self._env.get(name)
            if default is not None:
                value = value or default[2:]
            if value is None:
                self.errors.append(
                    self._at(
                        node, loc, f"the environment variable {name} is not set; set it or write ${{{name}:-default}}"
                    )
                )
                return ""
            used.append(Substitution(name, value))
            return value

        return _VARIABLE.sub(put_in, node.value)

    # -- places -----------------------------------------------------------------------------------------------------

    def _at(self, node: yaml.Node, loc: Loc, message: str) -> ConfigError:
        return ConfigError(self.file, node.start_mark.line + 1, node.start_mark.column + 1, key_path(loc), message)

    def _find(self, loc: Loc) -> tuple[yaml.Node, yaml.Node | None, Loc]:
        """The node at a key path or as near as the text goes, its key, and how far the path was followed."""
        node, key = self._root, None
        for depth, part in enumerate(loc):
            step = next(((k, v) for name, k, v in _children(node) if name == part), None)
            if step is None:
                return node, key, loc[:depth]
            key, node = step
        return node, key, loc

    def _redacted(self, message: str, node: yaml.Node) -> str:
        """The message without what variables put into the node or below it."""
        for name, value in self._secrets(node, MAX_DEPTH):
            placeholder = f"${{{name}}}"
            for shown in (repr(value), value, value.strip()):
                if len(shown) > 3:
                    message = placeholder.join(re.split(re.escape(shown), message, flags=re.IGNORECASE))
            low, said = value.lower(), message.lower()
            if any(low[start : start + 8] in said for start in range(len(low) - 7)):  # a part of it
                return f"the value of {placeholder} is not accepted here"
        return message

    def _secrets(self, node: yaml.Node, depth: int) -> Iterator[Substitution]:
        yield from self._substituted.get(id(node), ())
        if depth:
            for _, _, child in _children(node):
                yield from self._secrets(child, depth - 1)


def _children(node: yaml.Node) -> Iterator[tuple[str | int, yaml.Node | None, yaml.Node]]:
    """A node's children with their name and key; what ``<<`` brings in comes last."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield index, None, item
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag != _MERGE and isinstance(key, yaml.ScalarNode):
                yield key.value, key, value
        for key, value in node.value:
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    yield from _children(source)
