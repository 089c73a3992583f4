"""What the configuration says of one Airweave organisation."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from syncgraph.config import ProviderSettings
from syncgraph.references import Address

SEED: Literal["sync-jobs"] = "sync-jobs"
"""One sync job by its id, as documented before there was an API of source connections."""

TODAY: Literal["source-connections"] = "source-connections"
"""Source connections, their details and their jobs."""

SEED_JOB_PATH = "/v1/sync/jobs/{job_id}"
OLD_JOB_PATH = "/sync/{sync_id}/job/{job_id}"
"""Of v0.9.17 (2026-03-05), the last release with REST routes of syncs."""

JOB_PATH_PRESETS = {"airweave-0.9.17": OLD_JOB_PATH}
MAX_JOBS = 100
"""Each configured job costs a call whenever runs are listed."""

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""As Airweave writes its ids. It reads others, too, but one thing shall have one id."""

_JOB_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~-]+|\{sync_id\}|\{job_id\}))+")


def _job_path(value: object) -> object:
    return JOB_PATH_PRESETS.get(value, value) if isinstance(value, str) else value


class Settings(ProviderSettings):
    """``[providers.<name>]`` with ``kind = "airweave"``.

    ``auth``: the header that carries the key; None: as the contract says (see ``key_header``).
    ``organisation``: which one to read, for a login that belongs to several; an API key belongs to one.
    ``job_path`` and ``jobs``: only of the contract ``sync-jobs``. ``jobs`` are ``job_id``, or ``sync_id/job_id`` where
    the path has ``{sync_id}``.
    """

    kind: Literal["airweave"]
    contract: Literal["sync-jobs", "source-connections"] = TODAY
    base_url: Address = "https://api.airweave.ai"
    auth: Literal["bearer", "x-api-key"] | None = None
    organisation: Annotated[str, Field(pattern=f"^{UUID.pattern}$")] | None = None
    job_path: Annotated[str, BeforeValidator(_job_path)] = SEED_JOB_PATH
    jobs: tuple[str, ...] = ()

    @property
    def key_header(self) -> Literal["bearer", "x-api-key"]:
        """The seed document says Bearer; every real Airweave takes API keys in X-API-Key only."""
        if self.auth is not None:
            return self.auth
        return "bearer" if self.contract == SEED and self.job_path != OLD_JOB_PATH else "x-api-key"

    @property
    def needs_sync_id(self) -> bool:
        return "{sync_id}" in self.job_path

    @model_validator(mode="after")
    def _jobs_fit_the_contract(self) -> "Settings":
        if self.contract == TODAY:
            if self.jobs or self.job_path != SEED_JOB_PATH:
                raise PydanticCustomError("jobs", 'jobs and job_path: only with contract = "sync-jobs"')
            return self
        if not _is_job_path(self.job_path):
            raise PydanticCustomError(
                "job_path",
                "job_path: write a preset ({presets}) or a path with {job_id}, and {sync_id} where it needs one",
                {"presets": ", ".join(JOB_PATH_PRESETS)},
            )
        if not 1 <= len(self.jobs) <= MAX_JOBS:
            raise PydanticCustomError(
                "jobs", "jobs: name 1 to {most} sync jobs; this contract has no list", {"most": MAX_JOBS}
            )
        if not all(is_job_id(job, with_sync=self.needs_sync_id) for job in self.jobs):
            shape = "sync_id/job_id" if self.needs_sync_id else "job_id"
            raise PydanticCustomError(
                "jobs", "jobs: write each as {shape}, lower-case UUIDs", {"shape": shape}
            )
        return self


def is_uuid(id: str) -> bool:
    return UUID.fullmatch(id) is not None


def is_job_id(id: str, *, with_sync: bool) -> bool:
    """Whether ``id`` is ``job``, or ``parent/job`` where the path to a job needs its parent."""
    parts = id.split("/", 2)
    return len(parts) == 1 + with_sync and all(map(is_uuid, parts))


def _is_job_path(path: str) -> bool:
    named = path.count("{job_id}"), path.count("{sync_id}")
    return _JOB_PATH.fullmatch(path) is not None and named in {(1, 0), (1, 1)}
