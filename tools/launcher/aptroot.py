"""Debian packages of a given release, unpacked into a folder of build/.

Nothing is installed: apt runs with a private state, sees an empty system, and
fetches packages (with everything they depend on, the C library included) from
the mirror this machine already uses. The host's apt settings for proxies and
certificates are taken over; its package lists and dpkg are not touched.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from launcher.common import BUILD, UserError, locked, run_quietly

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _targets():
    """(URI, code name, component) of every Debian source of this machine."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)",
         "Created-By: Packages"], capture_output=True, text=True).stdout
    for line in listing.splitlines():
        origin, uri, codename, component = line.split("|")
        if origin == "Debian" and component == "main":
            yield uri, codename


def _sources(suite):
    """One-line-style sources for a release, on the mirrors of this machine."""
    lines = []
    for uri, codename in _targets():
        base, _, variant = codename.partition("-")
        wanted = f"{suite}-{variant}" if variant else suite
        if not base or variant in ("backports", "proposed", "debug"):
            continue
        line = f"deb [arch=amd64 signed-by={KEYRING}] {uri} {wanted} main"
        if line not in lines:
            lines.append(line)
    if not lines:
        raise UserError("no Debian package source is configured on this machine: check "
                        "/etc/apt/sources.list and run apt-get update")
    return lines


class AptRoot:
    """Packages of one release in build/NAME; complete or not there at all."""

    def __init__(self, name, suite):
        self.name = name
        self.suite = suite
        self.root = BUILD / name
        self.apt = BUILD / f"{name}.apt"

    def ready(self, packages):
        return self._stamp_text(packages) == self._stamp_read()

    def fetch(self, packages, extra=()):
        """Unpack packages with what they depend on, and extra ones without."""
        with locked(self.name):
            if self.ready((*packages, *extra)):
                return
            self._configure()
            updated = self._apt("apt-get", "update")
            try:
                self._apt("apt-get", "-y", "--no-install-recommends", "--download-only",
                          "install", *packages)
            except UserError as error:
                # What made the lists incomplete, such as no network, is only a warning there.
                why = [line for line in updated.splitlines() if line.startswith("W: ")]
                raise UserError("\n".join([str(error), *why])) from None
            archives = self.apt / "cache/archives"
            if extra:
                self._apt("apt-get", "download", *(self._newest(name) for name in extra),
                          cwd=archives)
            self._unpack(sorted(archives.glob("*.deb")))
            (self.root / ".complete").write_text(self._stamp_text((*packages, *extra)))
            shutil.rmtree(self.apt)

    def _stamp_text(self, packages):
        return f"{self.suite} {' '.join(packages)}\n"

    def _stamp_read(self):
        stamp = self.root / ".complete"
        return stamp.read_text() if stamp.exists() else None

    def _configure(self):
        shutil.rmtree(self.apt, ignore_errors=True)
        for folder in ("etc/parts", "etc/preferences", "state/lists/partial",
                       "cache/archives/partial"):
            (self.apt / folder).mkdir(parents=True)
        (self.apt / "state/status").touch()
        (self.apt / "etc/sources.list").write_text("\n".join(_sources(self.suite)) + "\n")
        host = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True,
                              text=True).stdout
        (self.apt / "apt.conf").write_text(
            host
            + f'Dir::Etc "{self.apt}/etc";\n'
            + f'Dir::Etc::sourcelist "{self.apt}/etc/sources.list";\n'
            + f'Dir::Etc::sourceparts "-";\nDir::Etc::parts "{self.apt}/etc/parts";\n'
            + 'Dir::Etc::main "none";\n'
            + f'Dir::Etc::preferencesparts "{self.apt}/etc/preferences";\n'
            + f'Dir::State "{self.apt}/state";\nDir::State::status "{self.apt}/state/status";\n'
            + f'Dir::Cache "{self.apt}/cache";\n'
            + 'APT::Architecture "amd64";\nAPT::Architectures "amd64";\n'
            + 'APT::Sandbox::User "";\nAcquire::Languages "none";\n')

    def _apt(self, *argv, **options):
        env = dict(os.environ, APT_CONFIG=str(self.apt / "apt.conf"), LC_ALL="C",
                   DEBIAN_FRONTEND="noninteractive")
        return run_quietly(list(argv), f"fetching Debian packages ({self.suite})", env=env,
                           **options)

    def _newest(self, name):
        """A metapackage's real package (linux-image-cloud-amd64 and the like)."""
        listing = self._apt("apt-cache", "depends", "--important", name)
        for line in listing.splitlines():
            if line.strip().startswith("Depends: linux-image-"):
                return line.split()[-1]
        return name

    def _unpack(self, debs):
        fresh = Path(tempfile.mkdtemp(prefix=f"{self.name}.", dir=BUILD))
        fresh.chmod(0o755)

        for deb in debs:
            run_quietly(["dpkg-deb", "-x", str(deb), str(fresh)], f"unpacking {deb.name}")
        shutil.rmtree(self.root, ignore_errors=True)
        fresh.rename(self.root)
