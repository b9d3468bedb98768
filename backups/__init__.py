"""Backups: encrypted, proven to restore, and gone when their time has come.

Makes one consistent, streaming, encrypted backup of the database and the files; verifies, drills,
restores and prunes. It does not replicate, does not archive a database's log (no point-in-time
recovery between two backups), and cannot read what it has written: only the holder of the age
identity can.
"""
