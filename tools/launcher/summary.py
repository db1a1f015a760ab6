"""What a run came to: reads the levels' lines and L0's figures, and judges them."""

import re
from dataclasses import dataclass, field

OFF = re.compile(r"^L1 is off: (.+)$")
EXITS = re.compile(r"^exits (L\d): (\d+)(.*)$")
TIME = re.compile(r"^time: (.+)$")
IN_ORDER = ("ACPI power-off", "shutdown port")
ENDED_ITSELF = ("shutdown", "power-off")
ENDINGS = {"reset": "the machine was reset", "quit": "ended from the keyboard",
           "debugger": "ended with the debugger's commands",
           "shutdown": "the machine was switched off", "power-off": "the machine was switched off",
           "triple fault": "the machine ended in a triple fault"}
MOST_REASONS = 8


@dataclass
class Summary:
    """Facts from the console of one run."""
    plastron: str = ""
    l1_off: str = ""
    l1_kernel: str = ""
    l1_user: bool = False
    l1_cpus: int = 0
    l1_kvm: bool = False
    l2_kernel: str = ""
    l2_user: bool = False
    l2_off: bool = False
    l2_status: int | None = None
    time: dict = field(default_factory=dict)
    exits: dict = field(default_factory=dict)


def _pairs(text, pattern):
    return {name: int(value) for name, value in re.findall(pattern, text)}


def _from_l0(summary, text):
    if text.startswith("Plastron") and not summary.plastron:
        summary.plastron = text
    elif found := OFF.match(text):
        summary.l1_off = found.group(1)
    elif found := TIME.match(text):
        summary.time = _pairs(found.group(1), r"(\w+) (\d+)")
    elif found := EXITS.match(text):
        summary.exits[found.group(1)] = (int(found.group(2)), _pairs(found.group(3), r"(\w+)=(\d+)"))


def _from_l1(summary, text):
    if text.startswith("user space of L1"):
        summary.l1_user = True
    elif text.startswith("Linux ") and not summary.l1_kernel:
        summary.l1_kernel = text
    elif found := re.match(r"CPU: .*, (\d+) online$", text):
        summary.l1_cpus = int(found.group(1))
    elif text.startswith("KVM: /dev/kvm is there"):
        summary.l1_kvm = True
    elif found := re.match(r"(?:QEMU|xl) ended with status (\d+)", text):
        summary.l2_status = int(found.group(1))


def _from_l2(summary, text):
    if text == "user space of L2":
        summary.l2_user = True
    elif text.startswith("Linux ") and not summary.l2_kernel:
        summary.l2_kernel = text
    elif text == "L2 powers off":
        summary.l2_off = True


READERS = {"L0": _from_l0, "L1": _from_l1, "L2": _from_l2}


def read(lines):
    """The Summary in (level, text) lines."""
    summary = Summary()
    for level, text in lines:
        if level in READERS:
            READERS[level](summary, text)
    return summary


def _ending(result):
    return ENDINGS.get(result.ended, result.ended)


def failure_of_machine(summary, result, bare):
    """Why the machine did not start or end in order, or None."""
    if result.ended == "time limit":
        return f"the time limit of {result.seconds:.0f} s was reached (--timeout gives more)"
    if not bare and not summary.plastron:
        return f"Plastron did not start: {_ending(result)}"
    if result.ended not in ENDED_ITSELF:
        return _ending(result)
    if not bare and summary.l1_off not in IN_ORDER:
        if not summary.l1_off:
            return "Plastron did not report the end of L1"
        return f"L1 ended by {summary.l1_off}"
    return None


def failure_of_stack(summary, result, bare):
    """The same for the stack, the first level that failed first."""
    return _failure_of_steps(summary, result, bare, (
        (summary.l1_user, "L1 did not reach user space"),
        (summary.l2_user, "L2 did not reach user space"),
        (summary.l2_off, "L2 did not power off"),
        (summary.l2_status == 0, f"L1's program for L2 ended with status {summary.l2_status}"
         if summary.l2_status is not None else "L1's program for L2 did not end")))


def failure_of_l1(summary, result, bare, cpus):
    """The same for a stack whose L1 runs no L2, on so many CPUs."""
    return _failure_of_steps(summary, result, bare, (
        (summary.l1_user, "L1 did not reach user space"),
        (summary.l1_cpus == cpus, f"L1 has {summary.l1_cpus} CPUs, not {cpus}"),
        (summary.l1_kvm, "L1 has no KVM")))


def _failure_of_steps(summary, result, bare, steps):
    if not (bare or summary.plastron):
        return failure_of_machine(summary, result, bare)
    for good, failure in steps:
        if not good:
            if result.ended == "time limit":
                return f"{failure} within {result.seconds:.0f} s"
            return failure if result.ended in ENDED_ITSELF else f"{failure}: {_ending(result)}"
    return failure_of_machine(summary, result, bare)


def _exit_line(level, exits):
    total, reasons = exits
    reasons = dict(reasons)
    reflected = reasons.pop("reflected", None)
    shown = sorted(reasons.items(), key=lambda pair: -pair[1])
    parts = [f"{name} {count:,}" for name, count in shown[:MOST_REASONS]]
    rest = sum(count for _, count in shown[MOST_REASONS:])
    if rest:
        parts.append(f"others {rest:,}")
    line = f"  exits of {level}: {total:,}"
    if reflected is not None:
        line += f", {reflected:,} of them reflected to L1"
    return line + (f": {', '.join(parts)}" if parts else "")


def _time_line(time):
    total = time.get("total") or sum(time.values()) or 1
    parts = [f"{name} {ticks / total:.1%} ({ticks:,})" for name, ticks in time.items()
             if name != "total"]
    return f"  time in ticks: {', '.join(parts)}; total {total:,}"


def text(summary, result, stack):
    """The lines shown at the end of a run."""
    lines = [f"Summary ({result.seconds:.0f} s)"]
    if summary.plastron:
        lines.append(f"  L0: {summary.plastron}")
    if stack:
        end = f", off by {summary.l1_off}" if summary.l1_off else ""
        lines.append(f"  L1: {summary.l1_kernel or 'did not boot'}{end}")
        end = ", powered off" if summary.l2_off else ""
        lines.append(f"  L2: {summary.l2_kernel or 'did not boot'}{end}")
    elif summary.l1_off:
        lines.append(f"  L1: off by {summary.l1_off}")
    if summary.time:
        lines.append(_time_line(summary.time))
    lines += [_exit_line(level, exits) for level, exits in sorted(summary.exits.items())]
    return lines
