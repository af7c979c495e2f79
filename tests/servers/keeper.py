"""Watches over one daemon: ends it, and all that it started, when told to or when the process that it was started for is gone."""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time


def birth(pid):
    """When process `pid` was started; None when there is none. A process that ended and waits for its parent counts as none."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    return None if fields[0] in "ZX" else fields[19]


def members(group):
    """The other processes of a process group."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            text = pathlib.Path(f"/proc/{entry}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        fields = text[text.rindex(")") + 2:].split()
        if fields[2] == str(group) and fields[0] not in "ZX":
            found.append(int(entry))
    return found


def dies_with_parent():
    """In the child, before exec: the kernel ends it when the keeper is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def write_pid(path, pid):
    part = path.with_name(path.name + ".part")
    part.write_text(f"{pid} {birth(pid)}\n", encoding="utf-8")
    part.rename(path)


def read_pid(path):
    """The id in a pid file, when that very process still runs."""
    try:
        pid, born = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None
    return int(pid) if birth(int(pid)) == born else None


def keep(folder, name, owner, command):
    """Runs `command` until it ends. owner: "PID BIRTH", or "" for no owner."""
    os.setsid()
    told = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, frame: told.append(got))
    pids = folder / "pids"
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=dies_with_parent)  # pylint: disable=subprocess-popen-preexec-fn
    write_pid(pids / f"{name}.keeper", os.getpid())
    write_pid(pids / name, child.pid)
    while child.poll() is None and not told:
        try:
            child.wait(0.3)
        except subprocess.TimeoutExpired:
            pass
        if owner and birth(int(owner.split()[0])) != owner.split()[1]:
            break
    asked = child.poll() is None
    if asked:
        child.send_signal(signal.SIGCONT)
        child.terminate()
        try:
            child.wait(8)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    # Executors of a Spark worker end themselves once it is gone; what has not after this time is ended.
    limit = time.monotonic() + (3 if asked else 30)
    while members(os.getpid()) and time.monotonic() < limit and not (told and not asked):
        time.sleep(0.1)
    for pid in members(os.getpid()):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for path in (pids / name, pids / f"{name}.keeper"):
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    keep(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
