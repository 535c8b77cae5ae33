# An interpreter that is moved: it works on one long sum of integers and one of floating-point numbers, until a file is there,
# and checks both by a formula. It says that it has begun by a file of that name and ".ready".
import math
import os
import sys
import time

stop = sys.argv[1]
open(stop + ".ready", "w").close()
steps, total, roots, names = 0, 0, 0.0, {}
while not os.path.exists(stop):
    for _ in range(2000):
        steps += 1
        total += steps * steps
        roots += math.sqrt(steps) * math.sqrt(steps) - steps
        names[f"key {steps % 1000}"] = steps
    time.sleep(0.01)
assert total == steps * (steps + 1) * (2 * steps + 1) // 6, "integers"
assert abs(roots) < 1e-3 * steps, "floating point"
assert sorted(names.values()) == list(range(steps - 999, steps + 1)), "dictionary"
print("python: all right", flush=True)
