"""Who is a program: what an agent says, how its fields stand, how its TLS begins, and whether its name is its own."""
