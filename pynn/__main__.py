"""``python -m pynn``: the command line, also where the script ``pynn`` is not on the path."""

from .cli import main

if __name__ == "__main__":
    main()
