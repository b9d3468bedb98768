"""The strict base of every serializer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """Refuse unknown fields."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse what no field reads."""
        if isinstance(data, dict) and (unknown := data.keys() - self.fields.keys()):
            raise serializers.ValidationError(
                {str(name): ["This field is not known."] for name in unknown}, code="unknown_field"
            )
        return super().to_internal_value(data)
