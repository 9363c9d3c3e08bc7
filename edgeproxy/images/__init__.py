"""Variants of pictures: what is asked for, what that means, and how it is made."""
