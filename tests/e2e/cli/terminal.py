"""Runs a command on a terminal of its own: `terminal.py ROWS COLUMNS COMMAND ..`.

What comes on standard input is typed there, and what is drawn goes to standard output. It ends as the command does, or with 99
if the command leaves the terminal in another mode than it found; the end of standard input hangs the terminal up.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios

CHANGED = 99


def begin(rows, columns, command):
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    modes = termios.tcgetattr(terminal)
    child = os.fork()
    if child == 0:
        os.close(terminal)
        os.setsid()
        fcntl.ioctl(inner, termios.TIOCSCTTY, 0)
        for stream in range(3):
            os.dup2(inner, stream)
        os.execv(command[0], command)
    # The terminal ends when nobody else has its inner side.
    os.close(inner)
    return child, terminal, modes


def write(target, data):
    while data:
        data = data[os.write(target, data):]


def relay(terminal):
    while True:
        for source in select.select([0, terminal], [], [])[0]:
            try:
                data = os.read(source, 65536)
            except OSError:
                data = b""
            if not data:
                return
            write(1 if source == terminal else terminal, data)


def main():
    rows, columns, *command = sys.argv[1:]
    child, terminal, before = begin(int(rows), int(columns), command)
    relay(terminal)
    after = termios.tcgetattr(terminal)
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return CHANGED if status == 0 and after != before else abs(status)


if __name__ == "__main__":
    sys.exit(main())
