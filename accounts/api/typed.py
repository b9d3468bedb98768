"""What people type, as fields of serializers: an address, a name, a mailed code."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.login_name import LONGEST_TYPED_NAME, acceptable
from accounts.models.user import LONGEST_NAME, validate_printable

# ``str.isprintable()`` of what ``str.strip()`` leaves, as ECMA-262 has it (flag ``u``).
_BLANKS = r"[\t-\r\x1c-\x1f\x85\p{Z}]*"
PRINTABLE = rf"^{_BLANKS}(?:[^\p{{C}}\p{{Z}}]| )*{_BLANKS}$"
LONGEST_CODE = 32  # characters; a code, and blanks that a person may have copied with it


@extend_schema_field(OpenApiTypes.EMAIL)
class AddressField(serializers.CharField):
    """An e-mail address, folded and well-formed."""

    default_error_messages = {"address": "Enter an e-mail address."}

    def __init__(self, **kwargs: Any) -> None:
        """Read no more than can fold into an address."""
        super().__init__(max_length=LONGEST_TYPED_NAME, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Fold what passed the field's own validators, and look at its form."""
        folded = acceptable(super().run_validation(data))
        try:
            validate_email(folded)
        except ValidationError:  # Django's sentence differs by version; ours has a code
            self.fail("address")
        return folded


class CodeField(serializers.CharField):
    """A mailed code; blanks inside are a person's way of writing it."""

    def __init__(self, **kwargs: Any) -> None:
        """Read no more than a code with blanks."""
        super().__init__(max_length=LONGEST_CODE, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """Take blanks out."""
        return "".join(super().to_internal_value(data).split())


@extend_schema_field({"type": "string", "maxLength": LONGEST_NAME, "pattern": PRINTABLE})
class NameField(serializers.CharField):
    """A person's name; blanks around it are not part of it."""

    def __init__(self, **kwargs: Any) -> None:
        """Cap it at the column's length."""
        super().__init__(
            max_length=LONGEST_NAME, allow_blank=True, validators=[validate_printable], **kwargs
        )
