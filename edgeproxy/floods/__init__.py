"""Floods: what traffic is usual here, when it is not, and what is done until it is again."""
