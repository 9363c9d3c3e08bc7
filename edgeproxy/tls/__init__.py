"""What TLS is set up with: contexts by profile, what Python's ssl cannot set, tickets, hellos and handshakes."""
