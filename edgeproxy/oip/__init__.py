"""The Open Inference Protocol v2 (KServe) as values: JSON and its binary tensor extension, questions and answers."""
