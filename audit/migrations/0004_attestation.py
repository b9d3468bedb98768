"""Events carry the application's attestation, and a verification may be indeterminate.

An event, attested itself, notes when that began: :mod:`audit.sealing.rollout` accepts what is older.
The column is NULL in the rows that are there: nothing is rewritten, and processes of the release
before go on writing rows without it while this one rolls out.
"""

from django.db import migrations, models
from django.utils import timezone

import audit.attestation
from audit.events import ATTESTATION_INTRODUCED


def note(apps, schema_editor):
    """Store when attestations began, in each stream that has events without one."""
    events = apps.get_model("audit", "SecurityEvent").objects.using(schema_editor.connection.alias)
    for stream in events.order_by("stream").values_list("stream", flat=True).distinct():
        events.create(kind=str(ATTESTATION_INTRODUCED), stream=stream, at=timezone.now())


class Migration(migrations.Migration):
    """Two columns; triggers stay where they are."""

    dependencies = [("audit", "0003_outcomes_and_readers")]

    operations = [
        migrations.AddField(
            "securityevent",
            "attestation",
            audit.attestation.AttestationField(editable=False, max_length=43, null=True),
        ),
        migrations.AlterField(
            "chainverification", "is_whole", models.BooleanField(null=True)
        ),
        migrations.RunPython(note, migrations.RunPython.noop),
    ]
