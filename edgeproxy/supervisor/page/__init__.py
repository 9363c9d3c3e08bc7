"""The live page of the admin listener: its files, and what they are served with."""
