#!/usr/bin/env python3
"""Arrows point one way: what a directory of src/ may include, checked over every #include.

    cli, preload, web, heavy -> health -> probe -> state -> policy -> base        settings -> state

Run by itself, or by unittest or pytest; needs nothing but Python.
"""

import pathlib
import re
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Each directory and the others it may include from.
CHAIN = ["base", "policy", "state", "probe", "health"]
ALLOWED = {name: set(CHAIN[:place]) for place, name in enumerate(CHAIN)}
ALLOWED["settings"] = set(ALLOWED["state"]) | {"state"}
for top in ("preload", "web", "cli", "heavy"):
    ALLOWED[top] = set(CHAIN)
ALLOWED["cli"] |= {"settings", "web", "heavy"}

# The library that strangers load knows of none of these; policy is pure.
FOREIGN = ("confuse.h", "openssl/", "curl/", "jansson.h", "microhttpd.h", "ares.h")
IMPURE = ("stdio.h", "stdlib.h", "unistd.h", "time.h", "fcntl.h", "pthread.h", "poll.h",
          "sys/", "netinet/", "arpa/", "netdb.h")
HOOK_PATH = ("base", "policy", "state", "probe", "health", "preload")


def includes_of(path):
    """(line number, name, is ours) of each #include."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found.group(2), found.group(1) == '"'


def complaints(source):
    """What is wrong in a source tree, one line each."""
    result = []
    for path in sorted(source.rglob("*.[ch]")):
        directory = path.relative_to(source).parts[0]
        where = path.relative_to(source.parent)
        if directory not in ALLOWED:
            result.append(f"{where}: directory {directory} is not known to this test")
            continue
        may = ALLOWED[directory] | {directory}
        for number, name, ours in includes_of(path):
            at = f"{where}:{number}"
            if ours and "/" not in name:
                result.append(f"{at}: {name}: written without its directory")
            elif ours and name.split("/")[0] not in may:
                result.append(f"{at}: {directory} may not include {name}")
            elif not ours and directory in HOOK_PATH and name.startswith(FOREIGN):
                result.append(f"{at}: {directory} may not include <{name}>")
            elif not ours and directory == "policy" and name.startswith(IMPURE):
                result.append(f"{at}: policy does no I/O and reads no clock: <{name}>")
    return result


class Directions(unittest.TestCase):
    def test_every_include_follows_the_arrows(self):
        self.assertEqual(complaints(ROOT / "src"), [])

    def test_there_is_something_to_check(self):
        count = sum(1 for path in (ROOT / "src").rglob("*.[ch]") for _ in includes_of(path))
        self.assertGreater(count, 100)

    def test_a_bad_include_is_found(self):
        bad = {
            "policy/breaker.c": '#include "state/segment.h"',
            "policy/window.c": "#include <time.h>",
            "base/text.c": '#include "policy/breaker.h"',
            "state/live.c": '#include "settings/settings.h"',
            "preload/route.c": "#include <confuse.h>",
            "preload/hook_connect.c": '  #  include "settings/settings.h"',
            "preload/probe.c": "#include <openssl/ssl.h>",
            "settings/read.c": '#include "preload/real.h"',
            "state/bank.c": '#include "bank.h"',
            "stray/new.c": '#include "base/text.h"',
        }
        for name, line in bad.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as directory:
                source = pathlib.Path(directory) / "src"
                (source / name).parent.mkdir(parents=True)
                (source / name).write_text(f"/* a comment */\n{line}\n")
                self.assertEqual(len(complaints(source)), 1)

    def test_a_good_include_is_not(self):
        good = {
            "cli/check.c": '#include "settings/settings.h"\n#include <jansson.h>',
            "preload/route.c": '#include "state/segment.h"\n#include "base/log.h"\n#include <time.h>',
            "settings/read.c": '#include "state/publish.h"\n#include <confuse.h>',
            "policy/choose.c": '#include "base/hash.h"\n#include <stdint.h>',
        }
        for name, text in good.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as directory:
                source = pathlib.Path(directory) / "src"
                (source / name).parent.mkdir(parents=True)
                (source / name).write_text(text + "\n")
                self.assertEqual(complaints(source), [])


if __name__ == "__main__":
    unittest.main()
