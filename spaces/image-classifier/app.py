"""The page of this Space: `python app.py`. What it offers is in menu.yaml."""

from pathlib import Path

from hfcls.serving.demo import build_demo, launch  # the folder beside this file, or the installed package
from hfcls.serving.menu import read_menu

demo = build_demo(read_menu(Path(__file__).with_name("menu.yaml")))

if __name__ == "__main__":
    launch(demo)
