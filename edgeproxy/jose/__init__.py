"""Signed tokens (JWS, JWK, JWT: RFC 7515, 7517, 7519): keys, where they come from, and strict verification."""
