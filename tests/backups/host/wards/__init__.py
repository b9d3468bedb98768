"""An app whose one column is encrypted, and decrypted again, while the site is killed."""
