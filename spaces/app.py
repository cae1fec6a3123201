"""The page as a Space: started by Hugging Face, which serves port 7860."""

import sys

from restyle.cli import main

if __name__ == "__main__":
    main(["app", "--host", "0.0.0.0", *sys.argv[1:]])
