"""Which document a client asks for: by its text, by the id of a trusted one, or by the hash of one it registered."""

import hashlib
import re
from typing import Any

import structlog
from cachetools import LRUCache

from syncgraph.config import ServerSettings
from syncgraph.errors import (
    InvalidRequestError,
    NoDocumentIdsError,
    UnknownDocumentError,
    UntrustedDocumentError,
)
from syncgraph.graph.documents import Document
from syncgraph.graph.schema import Operation, read_document
from syncgraph.http import manifest
from syncgraph.http.body import Asked, asked_in

REGISTERED_BYTES = 8 * 1024 * 1024
"""Memory for texts that clients registered; with the next constant, at most 8,192 of them."""
REGISTERED_LEAST = 1024
"""What the smallest is counted as."""
VERSION = 1
"""Of automatic persisted queries."""

_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")

log = structlog.get_logger(__name__)


class Documents:
    """The trusted documents, which stay, and apart from them what clients registered, which comes and goes."""

    def __init__(self, settings: ServerSettings) -> None:
        """Raises :class:`ConfigError` for what is wrong in a manifest."""
        self._mode = settings.documents_mode
        self._registers = settings.apq
        self._by_id = {} if self._mode == "off" else manifest.load(settings.documents)
        self._by_text = {document.text: document for document in self._by_id.values()}
        self._by_hash = {_hash(text): document for text, document in self._by_text.items()}
        self._registered: LRUCache[str, str] = LRUCache(REGISTERED_BYTES, getsizeof=_weight)

    def operation_in(self, content: Any) -> Operation:
        """Of a decoded request, by whatever transport it came.

        Raises :class:`BadRequest` when it is not one, and :class:`InvalidRequestError` when its document is not executed.
        """
        asked = asked_in(content)
        _check_hash(asked)
        document = self._trusted(asked) or self._other(asked)
        return Operation(query=document.text, variables=asked.variables, name=asked.name, document=document)

    def _trusted(self, asked: Asked) -> Document | None:
        if asked.query is not None:
            return self._by_text.get(asked.query)
        wanted = asked.document_id or asked.hash or ""
        return self._by_id.get(wanted) or self._by_hash.get(_bare(wanted))

    def _other(self, asked: Asked) -> Document:
        if self._mode == "require":
            raise UntrustedDocumentError(
                "Only documents that were registered by this gateway's owner are executed."
            )
        document = self._sent_or_registered(asked)
        if self._mode == "log":
            log.warning("document_not_trusted", sha256=_hash(document.text), operation=asked.name)
        return document

    def _sent_or_registered(self, asked: Asked) -> Document:
        keeps = self._registers and asked.version in {VERSION, None}
        if asked.query is not None:
            document = read_document(asked.query)
            if asked.hash is not None and keeps and not document.errors:
                self._registered[asked.hash] = document.text
            return document
        if not keeps:
            raise NoDocumentIdsError
        text = self._registered.get(_bare(asked.document_id or asked.hash or ""))
        if text is None:
            raise UnknownDocumentError
        return read_document(text)


def _check_hash(asked: Asked) -> None:
    if asked.query is not None and asked.hash is not None and _hash(asked.query) != asked.hash:
        raise InvalidRequestError("extensions.persistedQuery.sha256Hash: the query has another one.")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _bare(document_id: str) -> str:
    """Without the specification's prefix for a hash."""
    found = _SHA256.fullmatch(document_id)
    return found[1] if found else document_id


def _weight(text: str) -> int:
    return max(REGISTERED_LEAST, 4 * len(text))
