"""[osc] of a scene: who may speak to it, who is told, and by which names."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vivant.runtime.aliases import Renamed
from vivant.runtime.endpoints import Endpoint, endpoint, network

Text = Annotated[str, Field(strict=True)]


class Osc(BaseModel):
    """Where it listens for OSC and where OSCQuery and the page of sliders are ("off" for nowhere), who may
    send, who always gets feedback, other names for parameters, and whether feedback goes to these too."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    listen: str = "127.0.0.1:9000"
    oscquery: str = "off"
    allow: tuple[Text, ...] = Field((), strict=False)
    feedback: tuple[Text, ...] = Field((), strict=False)
    aliases: dict[Text, Renamed] = Field(default_factory=dict)
    echo: bool = False

    @field_validator("listen", "oscquery")
    @classmethod
    def _listen(cls, text: str) -> str:
        if text != "off":
            endpoint(text)
        return text

    @field_validator("allow")
    @classmethod
    def _allow(cls, senders: tuple[str, ...]) -> tuple[str, ...]:
        for sender in senders:
            network(sender)
        return senders

    @field_validator("feedback")
    @classmethod
    def _feedback(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for target in targets:
            endpoint(target)
        return targets

    @property
    def listen_at(self) -> Endpoint | None:
        """(host, port) to listen at, or None when the door is off."""
        return None if self.listen == "off" else endpoint(self.listen)

    @property
    def query_at(self) -> Endpoint | None:
        """(host, port) of OSCQuery and the page of sliders, or None when they are off."""
        return None if self.oscquery == "off" else endpoint(self.oscquery)

    @property
    def targets(self) -> tuple[Endpoint, ...]:
        """(host, port) of everyone who gets feedback without asking."""
        return tuple(endpoint(target) for target in self.feedback)
