"""Settings that only the simulator has; the product's own are in :mod:`streams.settings`."""

import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_SECRETS = Path(os.environ.get("OWDD_SECRETS_DIR", "/run/secrets"))


class SimulatorSettings(BaseSettings):
    """Environment variables ``OWDD_*``, or files named so in the secrets directory."""

    model_config = SettingsConfigDict(
        env_prefix="OWDD_",
        env_ignore_empty=True,
        secrets_dir=_SECRETS if _SECRETS.is_dir() else None,
        extra="ignore",
        frozen=True,
    )

    orderwise_password: SecretStr = Field(SecretStr(""), description="Password of the login that writes to the database")
