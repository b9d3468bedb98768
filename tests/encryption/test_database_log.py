"""A write of encrypted values that fails: the log shows neither them nor how they index."""

from __future__ import annotations

from tests.database_log import READABLE, fail, locked_tables, written_during
from tests.encryption.clinic.models import Patient

pytestmark = READABLE


def test_neither_value_nor_envelope_nor_index_is_in_the_log(keys):
    patient = Patient.objects.create(email="ada@example.org", note="a note of hers")
    index = Patient.objects.filter(pk=patient.pk).values_list("email_index", flat=True).get()
    new = Patient(email="bob@example.org", note="a note of his")

    def act():
        with locked_tables(Patient._meta.db_table):
            patient.note = "another note of hers"
            fail(patient.save)
            fail(new.save)

    written = written_during(act)
    assert f'UPDATE "{Patient._meta.db_table}"' in written
    assert f'INSERT INTO "{Patient._meta.db_table}"' in written
    for secret in ("@example.org", "note of", "\\x", bytes(index).hex()):
        assert secret not in written
