"""Which machine runs the guest: Bochs or QEMU with KVM, behind one interface."""

from launcher import bochs, images, packages, qemu
from launcher.common import UserError, say, warn
from launcher.machine import Machine

DEFAULT_MODEL = "corei7_skylake_x"
MOST_CPUS = 8


class BochsAccel:
    """The emulator; with a script for its debugger, if one is given."""

    def __init__(self, version, model, cpus, script=None):
        if not 1 <= cpus <= MOST_CPUS:
            raise UserError(f"--cpus {cpus}: give a number from 1 to {MOST_CPUS}")
        self.emulator = bochs.find(version)
        self.script = script
        bochs.check_model(self.emulator, model)
        if cpus > 1 and self.emulator.version == "2.7":
            warn("Bochs 2.7 has bugs with more than one CPU; 3.0 is better")
        self.name = f"Bochs {self.emulator.version}, {model}"
        # Virtual interrupts get lost in 3.0, and posted ones need a descriptor that no hypervisor has.
        self.good_apicv = self.emulator.version != "3.0"

    def run(self, folder, spec, consumer, limit, tick=None, keyboard=None):
        machine = Machine(folder, consumer, tick, keyboard)
        argv, env = bochs.command(self.emulator, folder, spec, machine.com1, self.script)
        return machine.run(argv, env, limit, bochs.ending)


class KvmAccel:
    """This machine's own VT-x."""

    def __init__(self):
        packages.install("kvm")
        self.name = "QEMU with KVM"
        self.good_apicv = True

    def run(self, folder, spec, consumer, limit, tick=None, keyboard=None):
        machine = Machine(folder, consumer, tick, keyboard)
        argv, env = qemu.command(folder, spec, machine.com1)
        return machine.run(argv, env, limit, qemu.ending)


def choose(options):
    """The accelerator for the options of `run`."""
    if options.accel == "kvm":
        qemu.require()
    if options.accel == "kvm" or (options.accel == "auto" and qemu.usable()):
        for value, name in ((options.bochs, "--bochs"), (options.cpu_model, "--cpu-model"),
                            (options.debugger, "--debugger")):
            if value:
                raise UserError(f"{name} is for Bochs: add --accel bochs")
        chosen = KvmAccel()
    else:
        script = None
        if options.debugger:
            script = images.read_file(options.debugger, "file of debugger commands").decode()
        chosen = BochsAccel(options.bochs, options.cpu_model or DEFAULT_MODEL, options.cpus, script)
        if options.cpus > 1:
            warn("with more than one CPU Bochs loses its way at some exceptions: an L2 under KVM "
                 "may hang, on the bare emulator, too (docs/emulator-departures.md)")
    say(f"machine: {chosen.name}, {options.cpus} CPU, {options.memory} MiB")
    return chosen
