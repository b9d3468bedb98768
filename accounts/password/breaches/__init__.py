"""Whether a password is known from breaches: by a file on this machine, or by a service."""
