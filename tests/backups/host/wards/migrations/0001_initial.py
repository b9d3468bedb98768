from __future__ import annotations

import uuid

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Bed",
            [
                ("id", models.UUIDField(primary_key=True, default=uuid.uuid4)),
                ("number", models.IntegerField(unique=True)),
                ("note", models.TextField()),
            ],
        ),
    ]
