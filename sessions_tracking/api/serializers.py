"""What goes in and comes out; anything else in a body is refused."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from http_hardening.api.serializers import StrictSerializer
from sessions_tracking import services
from sessions_tracking.models import Session


class RefreshInput(StrictSerializer):
    """The refresh token. One that is too long, or nonsense, is not valid rather than malformed."""

    example = {"refresh": "KzR4dXw3LmQ2YnN0aGVyZWZyZXNodG9rZW4"}

    refresh = serializers.CharField(trim_whitespace=False)


class LogoutAllInput(StrictSerializer):
    """Whether the session that asks is ended too."""

    example = {"include_current": False}

    include_current = serializers.BooleanField(default=False)


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
        return services.current_session(self.context["request"]) == session

    def get_device(self, session: Session) -> str:
        """Name the device, by what its browser or program says where nothing better is known."""
        return session.device or session.user_agent
