"""What pages will need, told before they are here (103 Early Hints, RFC 8297)."""
