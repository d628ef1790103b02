"""`python -m auditdb`, the same as the `auditdb` command."""

from auditdb.cli.main import main

main()
