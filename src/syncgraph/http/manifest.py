"""Trusted documents out of the files that clients' builds write: Relay's persisted queries, and Apollo's manifest."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from syncgraph.config import ConfigError, Mistake
from syncgraph.graph.documents import Document
from syncgraph.graph.schema import trusted_document

APOLLO = "apollo-persisted-query-manifest"


class _Operation(msgspec.Struct):
    """Of Apollo's manifest: https://www.apollographql.com/docs/graphos/platform/security/persisted-queries."""

    id: str
    body: str
    name: str = ""


class _Apollo(msgspec.Struct):
    format: str
    version: int
    operations: Sequence[_Operation]


def load(paths: Sequence[Path]) -> Mapping[str, Document]:
    """By id, each ready to be executed. Raises :class:`ConfigError` with every mistake of every file."""
    mistakes: list[Mistake] = []
    documents: dict[str, Document] = {}
    for path in paths:
        for document_id, text in _entries(path, mistakes):
            document = trusted_document(text)
            if documents.setdefault(document_id, document).text != text:
                mistakes.append(Mistake(f"{path}: {document_id}", "the id stands for another text, too"))
            elif document.errors:
                mistakes.append(Mistake(f"{path}: {document_id}", document.errors[0].message))
    if mistakes:
        raise ConfigError(mistakes)
    return documents


def _entries(path: Path, mistakes: list[Mistake]) -> Iterator[tuple[str, str]]:
    try:
        raw = msgspec.json.decode(path.read_bytes())
        yield from _apollo(raw) if isinstance(raw, dict) and "format" in raw else _relay(raw)
    except OSError as error:
        mistakes.append(Mistake(str(path), error.strerror or "cannot be read"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        mistakes.append(Mistake(str(path), "neither Relay's {id: text} nor Apollo's manifest, version 1"))


def _apollo(raw: Any) -> Iterator[tuple[str, str]]:
    manifest = msgspec.convert(raw, _Apollo)
    if (manifest.format, manifest.version) != (APOLLO, 1):
        raise msgspec.ValidationError(manifest.format)
    return ((one.id, one.body) for one in manifest.operations)


def _relay(raw: Any) -> Iterator[tuple[str, str]]:
    return iter(msgspec.convert(raw, dict[str, str]).items())
