"""Entry of `python3 -m launcher`, which the `plastron` command starts."""

import sys

from launcher import cli

sys.exit(cli.main(sys.argv[1:]))
