"""Settings: one TOML file plus the environment, read once at the start; every mistake is reported at once.

Knows no provider: each brings its own :class:`ProviderSettings`.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from syncgraph.domain.freshness import LONGEST_INTERVAL, FreshnessPolicy, configured_policy
from syncgraph.domain.model import Sync
from syncgraph.references import Address, File, Files, Proxy, Secret

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
ENV_PREFIX = "SYNCGRAPH_"
M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """An unknown key is a mistake, not a comment; a mistake never quotes what was written."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)


Limit = Annotated[float, Field(gt=0, le=LONGEST_INTERVAL.total_seconds())]
"""An age in seconds."""


class FreshnessLimits(Strict):
    """How old the last success may be. ``error_after_s``: twice ``warn_after_s`` unless it is given."""

    warn_after_s: Limit | None = None
    error_after_s: Limit | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "FreshnessLimits":
        warn, error = self.warn_after_s, self.error_after_s
        if error is not None and (warn is None or warn > error):
            raise PydanticCustomError("limits", "error_after_s: write warn_after_s too, and no larger")
        return self

    @property
    def policy(self) -> FreshnessPolicy | None:
        """None: nothing is configured."""
        if self.warn_after_s is None:
            return None
        error_after = None if self.error_after_s is None else timedelta(seconds=self.error_after_s)
        return configured_policy(timedelta(seconds=self.warn_after_s), error_after)


class FreshnessSettings(FreshnessLimits):
    """For all syncs of a provider, and by ``externalId`` for those of a connector, or for one; the nearest wins."""

    connectors: Mapping[str, FreshnessLimits] = Field(default_factory=dict)
    syncs: Mapping[str, FreshnessLimits] = Field(default_factory=dict)

    def policy_of(self, sync: Sync) -> FreshnessPolicy | None:
        of_sync = self.syncs.get(sync.key.id, _NO_LIMITS)
        of_connector = self.connectors.get(sync.connector.id, _NO_LIMITS) if sync.connector else _NO_LIMITS
        return of_sync.policy or of_connector.policy or self.policy


_NO_LIMITS = FreshnessLimits()


class ProviderSettings(Strict):
    """What every provider needs. The table's name in the file is the provider's name in the graph."""

    kind: str
    contract: str
    base_url: Address
    credential: Secret
    timeout_s: float | None = Field(default=None, gt=0, le=300)
    attempt_timeout_s: float = Field(default=2.0, gt=0, le=60)
    connect_timeout_s: float = Field(default=1.0, gt=0, le=60)
    retry_timeouts: bool = False
    concurrency: int = Field(default=32, ge=1, le=256)
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    allow_insecure: bool = False
    allow_private_addresses: bool = False
    proxy: Proxy | None = None
    ca_bundle: File | None = None
    freshness: FreshnessSettings = FreshnessSettings()

    @model_validator(mode="after")
    def _reachable_safely(self) -> "ProviderSettings":
        url = urlsplit(self.base_url)
        if url.scheme == "http" and not self.allow_insecure and not _is_loopback(url.hostname or ""):
            raise PydanticCustomError(
                "base_url", "base_url: plain http only to this machine, or with allow_insecure = true"
            )
        return self


DocumentsMode = Literal["off", "prefer", "log", "require"]
"""What manifests of trusted documents are for.

``off``: nothing, they are not read. ``prefer``: their documents may be asked for by their ids; all others run, too.
``log``: as before, and a line is logged for each that ``require`` would refuse. ``require``: no other runs.
"""


class ServerSettings(Strict):
    """Where the gateway listens, what it executes, how much at once, and how long everything may take (docs/operations.md)."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    ops_port: int | None = Field(default=None, ge=0, le=65535)
    operation_timeout_s: float = Field(default=15.0, gt=0, le=300)
    max_upstream_calls: int = Field(default=200, ge=1, le=10_000)
    replicas: int = Field(default=1, ge=1, le=1000)
    max_representations: int = Field(default=200, ge=1, le=1000)
    graphiql: bool = True
    max_operations: int = Field(default=1000, ge=1, le=10_000)
    max_waiting: int = Field(default=1000, ge=1, le=10_000)
    max_wait_s: float = Field(default=10.0, gt=0, le=60)
    receive_timeout_s: float = Field(default=10.0, gt=0, le=300)
    send_timeout_s: float = Field(default=30.0, gt=0, le=300)
    keep_alive_timeout_s: int = Field(default=65, ge=1, le=3600)
    drain_delay_s: float = Field(default=5.0, ge=0, le=300)
    shutdown_timeout_s: float = Field(default=20.0, gt=0, le=600)
    apq: bool = True
    documents: Files = ()
    documents_mode: DocumentsMode = "off"

    @model_validator(mode="after")
    def _drains_in_time(self) -> "ServerSettings":
        if self.drain_delay_s >= self.shutdown_timeout_s:
            raise PydanticCustomError("drain", "drain_delay_s: must be less than shutdown_timeout_s")
        return self

    @model_validator(mode="after")
    def _has_documents(self) -> "ServerSettings":
        if self.documents_mode != "off" and not self.documents:
            raise PydanticCustomError("documents", "documents_mode: name a manifest in documents, too")
        return self


class CacheSettings(Strict):
    """How long and where providers' answers are kept. Seconds are on top of the time for which an answer is fresh."""

    max_bytes: int = Field(default=64 * 1024 * 1024, ge=0, le=64 * 1024**3)
    stale_while_revalidate_s: float = Field(default=10.0, ge=0, le=3600)
    stale_if_error_s: float = Field(default=300.0, ge=0, le=86_400)
    redis: Secret | None = None

    @model_validator(mode="after")
    def _is_a_redis(self) -> "CacheSettings":
        if self.redis is not None and not _REDIS.match(self.redis.get_secret_value()):
            raise PydanticCustomError(
                "redis", "redis: what it refers to must be redis://, rediss:// or unix://"
            )
        return self


_REDIS = re.compile(r"(rediss?|unix)://.")


class LiveSettings(Strict):
    """Subscriptions: how often providers are asked behind them, and how many one client may have."""

    poll_running_s: float = Field(default=5.0, gt=0, le=3600)
    poll_idle_s: float = Field(default=60.0, gt=0, le=3600)
    max_connections: int = Field(default=100, ge=1, le=100_000)
    max_subscriptions: int = Field(default=50, ge=1, le=100_000)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, checked."""

    server: ServerSettings
    providers: Mapping[str, ProviderSettings]
    cache: CacheSettings = CacheSettings()
    live: LiveSettings = LiveSettings()


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with a configuration: its key and what to do about it."""

    key: str
    hint: str


class ConfigError(Exception):
    """All that is wrong with a configuration at once."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(f"{mistake.key}: {mistake.hint}" for mistake in mistakes))
        self.mistakes = mistakes


def load(path: Path, kinds: Mapping[str, type[ProviderSettings]]) -> Settings:
    """Read and check a file; raises :class:`ConfigError` with every mistake in it."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([Mistake(str(path), error.strerror or "cannot be read")]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Mistake(str(path), f"not TOML: {error}")]) from error
    return parse(raw, kinds)


def parse(raw: Mapping[str, Any], kinds: Mapping[str, type[ProviderSettings]]) -> Settings:
    """Check a configuration that was read; environment variables ``SYNCGRAPH_HOST`` and so on win."""
    mistakes = [
        Mistake(key, "unknown; known are server, cache, live and providers")
        for key in raw
        if key not in {"server", "cache", "live", "providers"}
    ]
    server = _checked(
        "server", ServerSettings, _table(raw, "server", mistakes) | _from_environment(), mistakes
    )
    cache = _checked("cache", CacheSettings, _table(raw, "cache", mistakes), mistakes)
    live = _checked("live", LiveSettings, _table(raw, "live", mistakes), mistakes)
    tables = _table(raw, "providers", mistakes)
    if not tables and not mistakes:
        mistakes.append(Mistake("providers", "name at least one: [providers.den]"))
    providers = {name: _provider(name, table, kinds, mistakes) for name, table in tables.items()}
    _compare_timeouts(server, providers, mistakes)
    if mistakes:
        raise ConfigError(mistakes)
    assert server is not None
    assert cache is not None
    assert live is not None
    known = {name: its for name, its in providers.items() if its is not None}
    return Settings(server, known, cache, live)


def server_alone() -> ServerSettings:
    """Without a file: the defaults, and the environment."""
    mistakes: list[Mistake] = []
    server = _checked("server", ServerSettings, _from_environment(), mistakes)
    if server is None:
        raise ConfigError(mistakes)
    return server


def json_schema(kinds: Mapping[str, type[ProviderSettings]]) -> dict[str, Any]:
    """The JSON Schema of a configuration file, for editors."""
    tables = {
        kind: its.model_json_schema(ref_template="#/$defs/{model}") for kind, its in sorted(kinds.items())
    }
    definitions = {name: its for table in tables.values() for name, its in table.pop("$defs", {}).items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "syncgraph",
        "type": "object",
        "additionalProperties": False,
        "required": ["providers"],
        "properties": {
            "server": ServerSettings.model_json_schema(),
            "cache": CacheSettings.model_json_schema(),
            "live": LiveSettings.model_json_schema(),
            "providers": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": f"^{NAME.pattern}$"},
                "additionalProperties": {"oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in tables]},
            },
        },
        "$defs": definitions | tables,
    }


def _table(raw: Mapping[str, Any], key: str, mistakes: list[Mistake]) -> dict[str, Any]:
    table = raw.get(key, {})
    if isinstance(table, Mapping):
        return dict(table)
    mistakes.append(Mistake(key, f"write a table: [{key}]"))
    return {}


def _from_environment() -> dict[str, str]:
    given = {name: os.environ.get(ENV_PREFIX + name.upper()) for name in ServerSettings.model_fields}
    return {name: value for name, value in given.items() if value is not None}


def _provider(
    name: str, table: object, kinds: Mapping[str, type[ProviderSettings]], mistakes: list[Mistake]
) -> ProviderSettings | None:
    place = f"providers.{name}"
    if not NAME.fullmatch(name):
        mistakes.append(Mistake(place, "a name is lower-case letters, digits and dashes, at most 32"))
    if not isinstance(table, Mapping):
        mistakes.append(Mistake(place, f"write a table: [{place}]"))
        return None
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        mistakes.append(Mistake(f"{place}.kind", f"write one of {', '.join(sorted(kinds))}"))
        return None
    return _checked(place, kinds[kind], table, mistakes)


def _checked(place: str, model: type[M], table: Mapping[str, Any], mistakes: list[Mistake]) -> M | None:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        for found in error.errors():
            key = ".".join((place, *map(str, found["loc"])))
            mistakes.append(Mistake(key, found["msg"]))
        return None


def _compare_timeouts(
    server: ServerSettings | None, providers: Mapping[str, ProviderSettings | None], mistakes: list[Mistake]
) -> None:
    if server is None:
        return
    for name, its in providers.items():
        if its is not None and its.attempt_timeout_s >= server.operation_timeout_s:
            mistakes.append(
                Mistake(f"providers.{name}.attempt_timeout_s", "must be less than server.operation_timeout_s")
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
