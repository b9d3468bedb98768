"""Signed heads of the chain: what a checkpoint says, who signed it, where its copies are."""
