"""python -m syncgraph."""

from syncgraph.cli import main

if __name__ == "__main__":
    main()
