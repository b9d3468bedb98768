"""Secrets at rest: encrypted model fields, blind indexes, encrypted files and their keys.

Every value is sealed with AES-256-GCM under a key derived for its field, and bound to its row: a
value that was changed, or moved to another row, column or table, is refused. Keys have versions and
rotate while the site runs. What this does not do: hide a value from whoever may run the site's own
code, hide that a value is missing (NULL) or how long it is, or search inside encrypted values.
"""
