"""The command line: which commands there are, and one place where errors are shown."""

import argparse
import errno
import signal
import sys

from launcher.common import UserError, relative, say

USAGE = """\
usage: plastron run                       boot Plastron, a Debian with KVM on it, and a Debian on that
       plastron run IMAGE [option ...]    boot Plastron and your own hypervisor or kernel on it
       plastron iso OUT.iso [IMAGE ...]   write the same as a bootable image for a real machine
       plastron test [NAME ...]           run the tests (all of them, or those named)
       plastron bench [costs|walks|stack] measure, in the emulator's instructions and memory accesses
       plastron fuzz [NAME ...]           run the fuzzers, for an hour or --time SECONDS
       plastron COMMAND --help            the options of a command
"""


# What a person can put right about files that cannot be written, by the error.
ADVICE = {
    errno.EACCES: "give this user the right to it, or remove it if another user's run left it",
    errno.EROFS: "work in a copy on another file system",
    errno.ENOSPC: "free some space; build/run and build/test hold what former runs left",
    errno.EDQUOT: "free some space; build/run and build/test hold what former runs left",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message):
        raise UserError(f"{message} (see: plastron {self.prog.split()[-1]} --help)")


def main(arguments):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _command(arguments)
    except UserError as error:
        say(str(error))
        return 2
    except BrokenPipeError:
        return 141
    except OSError as error:
        if error.errno not in ADVICE:
            raise
        what = f"{relative(error.filename)}: " if error.filename else ""
        say(f"{what}{error.strerror}: {ADVICE[error.errno]}")
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return 130


def _command(arguments):
    if arguments[:1] == ["help"] and len(arguments) > 1:
        arguments = [arguments[1], "--help"]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name == "run":
        from launcher import run as command
    elif name == "iso":
        from launcher import iso as command
    elif name == "test":
        from launcher import test as command
    elif name == "fuzz":
        from launcher import fuzz as command
    elif name == "bench":
        from launcher import bench as command
    else:
        raise UserError(f"there is no command {name}: use run, iso, test, bench or fuzz")
    return command.main(rest)
