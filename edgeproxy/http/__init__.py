"""HTTP as values: messages, header fields, dates, conditions, ranges, framing. No I/O but body pipes."""
