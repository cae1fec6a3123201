"""How networks run: devices, precision, and the fast CPU forms of both networks."""
