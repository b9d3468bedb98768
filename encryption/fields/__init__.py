"""Encrypted model fields: ``Encrypted`` around any concrete field, and ``RowSalt`` beside it."""

from encryption.fields.encrypted import Encrypted
from encryption.fields.rows import RowSalt
from encryption.fields.saving import encrypted_fields

__all__ = ["Encrypted", "RowSalt", "encrypted_fields"]
