"""Which coding an answer gets, dictionaries, the better copy, unpacking requests."""
