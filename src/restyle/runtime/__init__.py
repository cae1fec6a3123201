"""Running networks: devices, precision, timing, and the fast CPU forms of both networks."""
