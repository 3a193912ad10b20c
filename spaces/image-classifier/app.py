"""The page of this Space: `python app.py`. What it offers is in menu.yaml."""

import sys
from pathlib import Path

from hfcls.errors import UserError
from hfcls.serving.demo import build_demo, launch  # the folder beside this file, or the installed package
from hfcls.serving.menu import read_menu

try:
    demo = build_demo(read_menu(Path(__file__).with_name("menu.yaml")))
except UserError as error:
    sys.exit(f"app.py: {error}")

if __name__ == "__main__":
    launch(demo)
