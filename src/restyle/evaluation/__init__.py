"""How good models are, and what they cost: measurements that can be stopped and repeated."""
