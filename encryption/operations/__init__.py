"""Migration operations that encrypt an existing clear column, and take the encryption off again.

Both work while the site runs: a second column is filled in batches, a trigger empties it again
where the first one changes meanwhile, and only the exchange at the end holds a lock, for as long as
the last few rows take. Nothing is dropped before every row was compared. A killed migration goes on
where it stopped. The migration must have ``atomic = False``::

    class Migration(migrations.Migration):
        atomic = False
        operations = [
            EncryptField("patient", "note", Encrypted(models.TextField())),
        ]
"""

from encryption.operations.columns import DecryptField, EncryptField
from encryption.operations.exchange import Exchange

__all__ = ["DecryptField", "EncryptField", "Exchange"]
