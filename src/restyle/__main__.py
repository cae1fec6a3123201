"""`python -m restyle` is the `restyle` command."""

from restyle.cli import main

if __name__ == "__main__":
    main()
