from __future__ import annotations

from django.db import migrations, models

from encryption.fields import Encrypted
from encryption.operations import EncryptField


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wards", "0001_initial")]
    operations = [EncryptField("bed", "note", Encrypted(models.TextField()), rows_per_batch=50)]
