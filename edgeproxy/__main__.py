"""``python -m edgeproxy`` is the command."""

from edgeproxy.cli import main

if __name__ == "__main__":
    main(prog_name="edgeproxy")
