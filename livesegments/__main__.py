"""`python -m livesegments` is `livesegments`."""

from livesegments.cli import main

if __name__ == "__main__":
    main()
