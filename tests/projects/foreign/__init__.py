"""A host app with a user model of its own."""
