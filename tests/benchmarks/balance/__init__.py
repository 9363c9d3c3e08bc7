"""Balancers judged: by a discrete-event simulation that runs the proxy's own, and by real processes on loopback."""
