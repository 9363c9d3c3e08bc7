"""HTTP/1.1 from clients: a connection, its requests, and heads both ways."""
