"""Models beside the cache: found, vetted, run, and asked further in where this node cannot answer (ADR 0008)."""

import os

# Read when onnxruntime is loaded: its builds keep a database in the home folder and send Microsoft events over HTTPS.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
