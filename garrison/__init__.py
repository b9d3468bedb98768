"""The ground floor: what every Django Garrison app shares.

Settings descriptors, the request context, client addresses, security events, errors, and the
registries by which apps plug into the dashboard, the health report and restore drills. No models,
no views, no URLs; nothing here knows which apps are installed.
"""
