"""Ports the package of the Autobahn suite from Python 2: `port.py SOURCE TARGET`.

fissix does what can be done by rule; what is left is the division of lengths, and how classes declare interfaces.
"""

import shutil
import subprocess
import sys
from pathlib import Path

REPLACED = {
    " / 2": " // 2",
    "len(payload) / ": "len(payload) // ",
    "len(self.payload) / ": "len(self.payload) // ",
    "from zope.interface import implements\n": "from zope.interface import implementer\n",
    "   implements(": "   pass # implements(",
    "(object, Case": "(Case",
}


def main():
    source, target = map(Path, sys.argv[1:])
    shutil.copytree(source, target)
    files = sorted(target.rglob("*.py"))
    for path in files:
        text = path.read_bytes().decode("latin-1").replace("\r\n", "\n")
        path.write_text(text, encoding="utf-8")
    # Its exit status says that files were changed.
    ported = [sys.executable, "-W", "ignore", "-m", "fissix", "-w", "-n", "-x", "unicode", str(target)]
    subprocess.run(ported, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    for path in files:
        text = path.read_text(encoding="utf-8")
        for old, new in REPLACED.items():
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
    (target / "__init__.py").write_text("from ._version import __version__\nversion = __version__\n", encoding="utf-8")


if __name__ == "__main__":
    main()
