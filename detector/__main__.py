"""`python -m detector`."""

from detector.cli import main

main(prog_name="detector")
