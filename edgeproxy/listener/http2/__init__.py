"""HTTP/2 from clients: a connection, its streams, and heads of answers."""
