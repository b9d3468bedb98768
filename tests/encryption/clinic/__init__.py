"""A small app with encrypted fields, installed by the tests of encryption alone."""
