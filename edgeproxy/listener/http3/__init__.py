"""HTTP/3 from clients: datagrams, a client over QUIC, its connection, its streams, and heads of answers."""
