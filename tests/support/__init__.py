"""Servers and clients the tests share: real ones, on free loopback ports, ended by pid."""
