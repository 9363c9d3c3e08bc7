"""HTTP/2 (RFC 9113) without a socket: bytes in, events out."""
