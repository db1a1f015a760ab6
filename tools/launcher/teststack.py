"""The stacks as tests: Debian's KVM or Xen as L1, a Debian as L2.

One has two CPUs and no L2. Each runs in some of three modes: on the emulator alone, on Plastron, and on Plastron on Plastron (where
the console still calls it L1). Besides judging as `plastron run` does, the test compares what L1's boot
costs: the kernel's own clock at its first program, which is the emulator's instruction count.
"""

import io
import re

from launcher import grub, images, l0, run, stack, stack_xen, summary
from launcher.accel import BochsAccel
from launcher.common import ROOT
from launcher.console import Console
from launcher.machine import Spec
from launcher.testcase import Case, Outcome, folder_for, tail
from launcher.testconf import read

NAME = "stack"
WITHOUT_L2 = "l2=none"      # a word for L1's first program
CONF = ROOT / "tests" / NAME / "test.conf"
STACKS = {
    NAME: (stack.prepare, "Debian with KVM boots a Debian"),
    "stack_xen": (stack_xen.prepare, "Xen boots a Debian as a PVH guest"),
    "stack_shadow": (stack.prepare, "Debian with KVM boots a Debian, all without EPT"),
    "stack_smp": (stack.prepare, "Debian with KVM boots on two CPUs"),
}


def _boot(mode, debian, conf, options, good_apicv):
    """What GRUB starts."""
    arguments = f"{debian.arguments} {conf.append}".strip()
    if mode == "nested":
        inner = (l0.IMAGE, f"label=L1 {options}")
        return grub.Boot("multiboot2", l0.IMAGE, options,
                         [inner, (debian.image, arguments), *debian.modules])
    bare = mode == "bare"
    if bare and not good_apicv:
        arguments += f" {debian.without_apicv}"
    return run.compose(images.recognise(debian.image), arguments, debian.modules, options, bare)


def run_mode(mode, debian, conf, version, folder):
    """Run the stack in a mode; (lines, result)."""
    accel = BochsAccel(version or conf.bochs or None, conf.model, conf.cpus)
    boot = _boot(mode, debian, conf, f"console=e9 {conf.options}".strip(), accel.good_apicv)
    spec = Spec(folder / "boot.iso", conf.model, conf.cpus, max(conf.memory, debian.memory))
    grub.make_boot_iso(spec.iso, boot)
    with open(folder / "console", "w") as log:
        console = Console(log, io.StringIO())
        result = accel.run(folder, spec, console.feed, conf.limit(mode))
        console.close()
    return console.lines, result


def figures_of(lines):
    """boot_us: the kernel's clock at L1's first program; l2_ticks: the whole run of QEMU."""
    figures = {}
    for level, text in lines:
        if level != "L1":
            continue
        if found := re.match(r"kernel time (\d+)\.(\d{6}) s", text):
            figures["boot_us"] = int(found[1]) * 10**6 + int(found[2])
        elif found := re.match(r"(?:QEMU|xl) starts at TSC (\d+)", text):
            figures["l2_ticks"] = -int(found[1])
        elif found := re.match(r"(?:QEMU|xl) ended .* at TSC (\d+)", text):
            figures["l2_ticks"] = figures.get("l2_ticks", 0) + int(found[1])
    return figures


def _over_limit(mode, figures, bare, conf):
    if "boot_us" in figures and "boot_us" in bare:
        more = figures["boot_us"] - bare["boot_us"]
        figures["boot_cost_permille"] = more * 1000 // bare["boot_us"]
    for (limited, name), limit in conf.limits.items():
        if limited == mode and name in figures and figures[name] > limit:
            return f"{name} is {figures[name]}, the limit is {limit}"
    return None


def _failure(facts, result, bare, conf):
    if WITHOUT_L2 in conf.append.split():
        return summary.failure_of_l1(facts, result, bare, conf.cpus)
    return summary.failure_of_stack(facts, result, bare)


def _run(name, conf, prepare, version, parts, report):
    debian = prepare()
    bare = {}
    for mode in conf.modes:
        if parts is not None and mode not in parts:
            continue
        folder = folder_for(name, mode)
        lines, result = run_mode(mode, debian, conf, version, folder)
        figures = figures_of(lines)
        facts = summary.read(lines)
        why = (_failure(facts, result, mode == "bare", conf)
               or _over_limit(mode, figures, bare, conf))
        if mode == "bare":
            bare = figures
        shown = "\n".join(summary.text(facts, result, True))
        shown += "\n" + tail((folder / "console").read_text())
        report(Outcome(f"{name}/{mode}", why, result.seconds, shown, figures))


def cases(version):
    for name, (prepare, about) in STACKS.items():
        conf = read(ROOT / "tests" / name / "test.conf")
        if conf.bochs and version and conf.bochs != version:
            continue

        def one(parts, report, name=name, conf=conf, prepare=prepare):
            _run(name, conf, prepare, version, parts, report)

        yield Case(name, f"{about}: {', '.join(conf.modes)}", one, conf.modes, machine=True)
