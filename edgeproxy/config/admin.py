"""The admin listener's section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edgeproxy.config.section import Section
from edgeproxy.config.units import Address
from edgeproxy.config.values import File, HostName, Many

SHORTEST = 16  # characters of a token


def _long_enough(token: str) -> str:
    if len(token) < SHORTEST:
        raise ValueError(f"a token has {SHORTEST} characters or more")
    return token


def _secret(value: SecretStr) -> SecretStr:
    _long_enough(value.get_secret_value())
    return value


Token = Annotated[SecretStr, AfterValidator(_secret)]


class AdminConfig(Section):
    """The admin listener: health, metrics, configuration, purge."""

    address: Address = "127.0.0.1:9900"
    """Where it listens; written like a listener's address."""
    hosts: Annotated[tuple[HostName, ...], Many] = Field((), max_length=100)
    """Names it may be asked by beside `localhost` and any IP address, at most 100; other names get 421."""
    token: Token | None = None
    """What `Authorization: Bearer` must say for orders, /config and /stats, from 16 characters. Write it as `${NAME}`.
    Without a token, only this machine may give orders."""
    token_file: File | None = None
    """File with the token instead; read anew for every order."""

    @model_validator(mode="after")
    def _one_token(self) -> AdminConfig:
        if self.token is not None and self.token_file is not None:
            raise ValueError("give one of token and token_file")
        if self.token_file is not None and Path(self.token_file).is_absolute():
            self.secret()
        return self

    def secret(self) -> str | None:
        """The token. Raises ValueError if its file holds none."""
        if self.token_file is None:
            return None if self.token is None else self.token.get_secret_value()
        try:
            return _long_enough(Path(self.token_file).read_text(encoding="utf-8").strip())
        except (OSError, ValueError) as error:
            raise ValueError(f"token_file {self.token_file} cannot be used: {error}") from None
