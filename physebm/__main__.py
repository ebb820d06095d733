"""``python -m physebm``."""

from physebm.cli import main

if __name__ == "__main__":
    main()
