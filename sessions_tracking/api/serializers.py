"""What goes in and comes out; anything else in a body is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from sessions_tracking.models import Session


class StrictInput(serializers.Serializer[Any]):
    """A body of exactly these fields, in exactly these types."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse unknown fields before looking at the known ones."""
        if isinstance(data, Mapping) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError(
                {name: [f"There is no field {name!r}."] for name in unknown}, code="unknown_field"
            )
        return super().to_internal_value(data)


class StrictText(serializers.Field[str, str, str, Any]):
    """Text that is text: REST framework's own field would take a number, and strip blanks."""

    default_error_messages = {"invalid": "A text is needed."}

    def to_internal_value(self, data: object) -> str:
        """Refuse other types and the empty text."""
        if type(data) is not str or not data:
            self.fail("invalid")
        return data

    def to_representation(self, value: str) -> str:
        """Return it as it is."""
        return value


class StrictBoolean(serializers.Field[bool, bool, bool, Any]):
    """True or false: REST framework's own field would take ``"yes"`` and ``1``."""

    default_error_messages = {"invalid": "true or false is needed."}

    def to_internal_value(self, data: object) -> bool:
        """Refuse other types."""
        if type(data) is not bool:
            self.fail("invalid")
        return data

    def to_representation(self, value: bool) -> bool:  # noqa: FBT001 - the framework's signature
        """Return it as it is."""
        return value


class NothingInput(StrictInput):
    """No body, or an empty one."""


class RefreshInput(StrictInput):
    """The refresh token. One that is too long, or nonsense, is not valid rather than malformed."""

    refresh = StrictText()


class LogoutAllInput(StrictInput):
    """Whether the session that asks is ended too."""

    include_current = StrictBoolean(default=False)


class EndedOutput(serializers.Serializer[Any]):
    """How many sessions were ended."""

    ended = serializers.IntegerField()


class TokenPairOutput(serializers.Serializer[Any]):
    """A pair of tokens, with how long each is good for in seconds."""

    access = serializers.CharField()
    refresh = serializers.CharField()
    access_expires_in = serializers.IntegerField()
    refresh_expires_in = serializers.IntegerField()
    session_id = serializers.UUIDField(source="session.pk")


class SessionOutput(serializers.ModelSerializer[Session]):
    """One signed-in device as its owner sees it; ``current`` marks the one that asks."""

    current = serializers.SerializerMethodField()
    device = serializers.SerializerMethodField()

    class Meta:
        """Nothing of the token or the cookie is shown."""

        model = Session
        fields = [
            "id",
            "current",
            "kind",
            "created_at",
            "last_seen_at",
            "ip",
            "location",
            "device",
            "risk",
        ]
        read_only_fields = fields

    def get_current(self, session: Session) -> bool:
        """Return whether it is the session that asks."""
        return bool(session.pk == self.context["current_id"])

    def get_device(self, session: Session) -> str:
        """Name the device, by what its browser or program says where nothing better is known."""
        return session.device or session.user_agent
