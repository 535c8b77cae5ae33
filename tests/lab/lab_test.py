#!/usr/bin/env python3
"""The lab itself: statuses, arguments, files and libraries, and labs that die or do not end.
Usage: lab_test.py LAB DYNAMIC-PROGRAM"""
import os
import subprocess
import sys
import tempfile
import unittest

LAB = PROGRAM = ""


class Lab(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def lab(self, *words, **options):
        return subprocess.run([LAB, *words], cwd=self.folder, capture_output=True, text=True, timeout=300, **options)

    def test_a_script_gets_its_arguments_and_files_and_its_status_comes_back(self):
        self.file("script", "#!/bin/sh\nfor word; do echo \"[$word]\"; done\ncat '/data/a file'; ls -l /data/tool\n"
                  "printf 'no newline '\nexit 7\n")
        self.file("data", "what the file says\n")
        self.file("tool", "#!/bin/sh\n", 0o755)
        result = self.lab("--file", "data:/data/a file", "--file", "tool:/data/tool", "script", "two words", "it's",
                          "$HOME", "")
        self.assertEqual(result.returncode, 7, result.stdout + result.stderr)
        for line in ("[two words]", "[it's]", "[$HOME]", "[]", "what the file says"):
            self.assertIn(line + "\n", result.stdout)
        self.assertRegex(result.stdout, r"-rwxr-xr-x .* /data/tool\n")
        self.assertTrue(result.stdout.endswith("no newline lab status 7\n"), result.stdout)

    def test_a_dynamic_program_brings_its_libraries(self):
        result = self.lab(PROGRAM)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("[  PASSED  ]", result.stdout)

    def test_a_kernel_that_panics_is_no_success(self):
        self.file("script", "#!/bin/sh\necho lab status 0\necho c > /proc/sysrq-trigger\n")
        result = self.lab("script")
        self.assertEqual(result.returncode, 125, result.stdout + result.stderr)
        self.assertIn("Kernel panic", result.stdout)

    def test_what_does_not_end_is_ended(self):
        self.file("script", "#!/bin/sh\necho here; sleep 1000\n")
        result = self.lab("--timeout", "40", "script")
        self.assertEqual(result.returncode, 124, result.stdout + result.stderr)
        self.assertIn("here\n", result.stdout)
        self.assertIn("not finished after 40 s", result.stderr)

    def test_bad_usage_is_told_before_anything_starts(self):
        script = self.file("script", "#!/bin/sh\n")
        for words, why in (([], "usage"), (["--timeout"], "usage"), (["--bogus", script], "usage"),
                           (["nothing-here"], "no such file"), (["--file", "script:relative", script], "no absolute")):
            result = self.lab(*words)
            self.assertEqual((result.returncode, result.stdout), (126, ""), words)
            self.assertIn(why, result.stderr)


if __name__ == "__main__":
    LAB, PROGRAM = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
