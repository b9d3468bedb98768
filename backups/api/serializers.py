"""What goes in and comes out."""

from __future__ import annotations

from rest_framework import serializers

from backups.models import Backup, Copy
from backups.models.backup import Content
from http_hardening.api.serializers import PageOutput, StrictSerializer


class BackupInput(StrictSerializer):
    """What to back up."""

    example = {"content": "all"}

    content = serializers.ChoiceField(choices=Content.choices, default=Content.ALL)


class CopyOutput(serializers.ModelSerializer[Copy]):
    """One copy."""

    class Meta:
        """Where, in which state, how big."""

        model = Copy
        fields = ("target", "state", "size_bytes", "verified_at", "failure")
        read_only_fields = fields


class BackupOutput(serializers.ModelSerializer[Backup]):
    """One backup, as the index knows it; nothing of what is inside."""

    copies = CopyOutput(many=True, read_only=True)
    seconds = serializers.FloatField(read_only=True, allow_null=True)

    class Meta:
        """Times, sizes, states and proofs."""

        model = Backup
        fields = (
            "id", "state", "kind", "content", "folder", "stage", "bytes_done", "bytes_expected",
            "queued_at", "started_at", "ended_at", "seconds", "snapshot_at", "engine", "raw_bytes",
            "size_bytes", "rows", "files", "recipients", "verified_at", "opened_at", "drilled_at",
            "damage", "indeterminate", "failure", "copies",
        )  # fmt: skip
        read_only_fields = fields


class BackupsOutput(PageOutput):
    """A page of backups, newest first."""

    results = BackupOutput(many=True)
