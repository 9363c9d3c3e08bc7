"""What attacks on HTTP/2 and HTTP/3 connections cost the proxy, beside honest requests."""
