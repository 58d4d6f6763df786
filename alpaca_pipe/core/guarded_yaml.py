"""YAML of whoever wrote it, read within bounds: size, depth, what its aliases come to, tags, digits. Merge keys (`<<`) work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MOST_BYTES = (
    1 << 18
)  # of a recipe, a price file, caps; a parser of a megabyte takes longer than anybody waits
_DEEPEST = 60
_MOST_NODES = 20_000  # with every alias written out
_LONG = 1 << 15  # characters; a text below that with few brackets is not looked at twice
_MOST_BITS = 256  # of a whole number
_FEW = 60  # brackets: as many cannot be too deep
_CURE = "fix the YAML there"


class NotYaml(ValueError):
    """What is wrong with a text, and on which line (1: the first)."""

    def __init__(self, what: str, cure: str = _CURE, line: int = 1) -> None:
        super().__init__(what)
        self.what, self.cure, self.line = what, cure, line


def load_yaml(
    text: str,
    *,
    with_lines: bool = False,
    as_written: bool = False,
    most: int = MOST_BYTES,
    most_nodes: int = _MOST_NODES,
) -> Any:
    """The one document of a text, of at most so many characters and values. with_lines: as ruamel's own types, which know
    where they stand; else plain Python. as_written: numbers and dates stay texts (1.10, 010). Raises NotYaml, whatever the
    text is."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > most:
        raise NotYaml(
            f"{len(text):,} characters of YAML, and {most:,} are read",
            "put what is long into a file of its own",
        )
    try:
        if _looks_large(text):
            _refuse_large(YAML(typ="rt").parse(text), most_nodes)
        reader = YAML(typ="rt") if with_lines else YAML(typ="safe", pure=True)
        if as_written:
            reader.Constructor = _as_written()
        loaded = reader.load(text)
        if with_lines:
            _refuse_odd(loaded, 1)
        return loaded
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = (error.problem or "not YAML").split("\n")[0]
        raise NotYaml(problem, line=mark.line + 1 if mark else 1) from None
    except YAMLError as error:
        raise NotYaml(f"not YAML: {(str(error).splitlines() or ['?'])[0]}") from None
    except RecursionError:
        raise _too_deep(1) from None
    except NotYaml:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        what = "a number of very many digits" if "digits" in str(error) else str(error)[:100]
        raise NotYaml(f"not YAML: {what}", "write it as a text, in quotes") from None


def _as_written() -> Any:
    from ruamel.yaml.constructor import SafeConstructor

    class AsWritten(SafeConstructor):  # type: ignore[misc]
        """Makes a text of a number or a date."""

    for tag in ("int", "float", "timestamp"):
        AsWritten.add_constructor(f"tag:yaml.org,2002:{tag}", lambda _, node: str(node.value))
    return AsWritten


def _looks_large(text: str) -> bool:
    brackets = text.count("[") + text.count("{")
    if len(text) > _LONG or brackets > _FEW:
        return True
    return "- - - -" in text or "? ? ?" in text or ("&" in text and "*" in text)


def _too_deep(line: int) -> NotYaml:
    return NotYaml("tables and lists are nested too deeply", "write it flatter", line)


def _refuse_large(events: Iterator[Any], most_nodes: int) -> None:
    """Raises NotYaml, before anything is made of the events."""
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

    sizes: dict[str, int] = {}  # by anchor, aliases written out
    open_: list[tuple[str | None, int]] = []  # anchor, and the nodes before it
    nodes = 0
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, AliasEvent):
            if event.anchor in {anchor for anchor, _ in open_}:
                raise NotYaml(f"*{event.anchor} refers to itself", "remove it", line)
            nodes += sizes.get(event.anchor, 1)
        elif isinstance(event, CollectionStartEvent):
            open_.append((event.anchor, nodes))
            nodes += 1
        elif isinstance(event, ScalarEvent):
            nodes += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                sizes[anchor] = nodes - before
        if len(open_) > _DEEPEST:
            raise _too_deep(line)
        if nodes > most_nodes:
            raise NotYaml(
                f"these are more than {most_nodes:,} values, its aliases written out",
                "put what is long into a file of its own",
                line,
            )


def _refuse_odd(value: Any, line: int) -> None:
    """What would be left out or misread without a word: a tag (`!!python/name:...`), a key that is no text or number, two
    keys of one spelling, a number of hundreds of digits."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq, CommentedSet, TaggedScalar

    lines: Any = getattr(value, "lc", None)
    if lines is not None and lines.line is not None:
        line = lines.line + 1
    tag = getattr(getattr(value, "tag", None), "value", None)
    if isinstance(value, TaggedScalar | CommentedSet) or (
        tag is not None and isinstance(value, CommentedMap | CommentedSeq)
    ):
        raise NotYaml(f"{tag or 'a set'} is an unknown YAML tag", "remove it", line)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise NotYaml("a number of very many digits", "write it as a text, in quotes", line)
    if isinstance(value, dict):
        seen: set[str] = set()
        for key in value:
            if not isinstance(key, str | int | float) and key is not None or str(key) in seen:
                raise NotYaml(
                    f"the key {str(key)[:40]} is not text, or is there twice", _CURE, line
                )
            seen.add(str(key))
    for one in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        _refuse_odd(one, line)
