"""Which certificate a handshake gets, where certificates lie, and what is known of each."""
