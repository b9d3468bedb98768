"""Events carry the application's attestation, and a verification may be indeterminate.

The column is NULL in the rows that are there: nothing is rewritten, and processes of the release
before go on writing rows without it while this one rolls out.
"""

from django.db import migrations, models

import audit.attestation


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
    ]
