"""Exchanges, texts and logs as numbers: the same functions where models are trained and where they are asked."""
