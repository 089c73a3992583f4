"""How a Den account is configured."""

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from syncgraph.config import ProviderSettings
from syncgraph.references import Address


class Settings(ProviderSettings):
    """``sync-events``: only the two routes that list and get events. ``auth``: what kind of secret the credential is."""

    kind: Literal["den"]
    contract: Literal["sync-events", "connector-instances"] = "connector-instances"
    base_url: Address = "https://api.openworklabs.com"
    # A list reads every event of the organisation before it slices, whatever its limit: seconds, and again if repeated.
    attempt_timeout_s: float = Field(default=10.0, gt=0, le=60)
    auth: Literal["api-key", "bearer"] = "api-key"
    organisation: str | None = Field(default=None, pattern=r"^org_[0-7][0-9a-hjkmnp-tv-z]{25}$")

    @model_validator(mode="after")
    def _organisation_is_heeded(self) -> "Settings":
        if self.organisation is not None and self.auth == "api-key":
            raise PydanticCustomError(
                "organisation",
                'organisation: Den binds an API key to one organisation; leave it out, or set auth = "bearer"',
            )
        return self
