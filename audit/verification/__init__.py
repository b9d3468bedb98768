"""Along the chain and against signed heads: names what is wrong, and repairs nothing."""
