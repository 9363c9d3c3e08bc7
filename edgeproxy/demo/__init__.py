"""The demo: a small site to put behind the proxy, and the command that starts both."""
