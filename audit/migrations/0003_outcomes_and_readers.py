"""What failed is called a failure, in the events and their counts; and readers keep their cursors.

The triggers that keep events from being changed are back before the transaction ends. The seals
stay: :mod:`audit.sealing.encoding` knows with which outcome version 1 sealed.
"""

from django.db import migrations, models

from audit import append_only
from audit.sealing.encoding import FAILURE, OUTCOMES_OF_VERSION_1

OUTCOMES = [("success", "Success"), ("failure", "Failure"), ("refused", "Refused")]

# What version 2 has sealed was a failure from the start, and stays one on the way back.
EVENTS = """
UPDATE audit_securityevent SET outcome = %s WHERE kind = %s AND outcome = %s AND NOT EXISTS (
    SELECT 1 FROM audit_eventseal s WHERE s.event_id = audit_securityevent.id AND s.version > 1
)"""
COUNTS = """
INSERT INTO audit_eventcount (period, starts_at, kind, severity, outcome, count)
SELECT period, starts_at, kind, severity, %s, count FROM audit_eventcount
WHERE kind = %s AND outcome = %s
ON CONFLICT (period, starts_at, kind, severity, outcome)
DO UPDATE SET count = audit_eventcount.count + excluded.count"""
COUNTED = "DELETE FROM audit_eventcount WHERE kind = %s AND outcome = %s"


def _change(connection, changes):
    with append_only.changing_events(connection), connection.cursor() as cursor:
        for kind, before, after in changes:
            cursor.execute(EVENTS, [after, kind, before])
            cursor.execute(COUNTS, [after, kind, before])
            cursor.execute(COUNTED, [kind, before])


def forwards(apps, schema_editor):
    """Call failures by their name."""
    changes = [(kind, before, FAILURE) for kind, before in OUTCOMES_OF_VERSION_1.items()]
    _change(schema_editor.connection, changes)


def backwards(apps, schema_editor):
    """Give each kind the one outcome it had."""
    changes = [(kind, FAILURE, before) for kind, before in OUTCOMES_OF_VERSION_1.items()]
    _change(schema_editor.connection, changes)


class Migration(migrations.Migration):
    """Events and counts are corrected in the transaction of this migration."""

    dependencies = [("audit", "0002_seals")]

    operations = [
        migrations.AlterField(
            "securityevent",
            "outcome",
            models.CharField(choices=OUTCOMES, default="success", max_length=8),
        ),
        migrations.AlterField(
            "eventcount", "outcome", models.CharField(choices=OUTCOMES, max_length=8)
        ),
        migrations.CreateModel(
            name="EventReader",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("stream", models.CharField(default="main", max_length=32)),
                ("seq", models.BigIntegerField(default=0)),
                ("mac", models.BinaryField(default=bytes, max_length=32)),
                ("moved_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddIndex(
            "securityevent",
            models.Index(
                fields=["outcome", "id"],
                name="audit_of_outcome",
                condition=models.Q(outcome__in=["failure", "refused"]),
            ),
        ),
        migrations.RunPython(forwards, backwards),
    ]
