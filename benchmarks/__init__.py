"""How fast auditdb is, and how much memory it takes, beside the least that the same work could cost.

    python -m benchmarks             all parts, into benchmarks/RESULTS.md (about ten minutes)
    python -m benchmarks --quick     fewer rounds and smaller inputs (under two minutes), printed and not written
    python -m benchmarks a c         only these parts, printed

Run it from the repository with the Python of an environment into which auditdb was installed as a wheel: what is
measured is that environment's `auditdb` command, and an editable install never reuses a structure.
"""
