"""An app of a host: a row of every kind that Django knows, encrypted columns, and files."""
