"""What ``make run`` does: keys, servers, the first administrator, and the processes.

Nothing here runs in production: there, DATABASE_URL and REDIS_URL name real servers and a process
supervisor starts granian, the worker and beat (docs/running.md). The one exception is
``manage.py generate_keys``, which lives here because the starter writes the same keys.
"""
