"""Models served here and by MLServer, in one run."""
