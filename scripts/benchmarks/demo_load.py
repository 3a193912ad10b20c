"""What the demo costs: the predictor beside its parts, what the page adds, and several users at once.

    python scripts/benchmarks/demo_load.py MODEL PICTURE [--users 8] [--seconds 60]

Prints the predictor's time over that of decoding, transforms and forward pass alone (alternating, medians), the
milliseconds that an answer takes more through the page's endpoint, and, with so many users who ask without a pause,
answers, failures, and the server's memory each ten seconds. Exits with 1 where an answer failed.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from threading import Thread

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}

import torch

from hfcls.data.decode import decode_bytes
from hfcls.data.transforms import Preprocessing
from hfcls.evaluation.speed import describe_hardware
from hfcls.models import load_classifier
from hfcls.serving.predictor import Predictor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    content = arguments.picture.read_bytes()
    print(f"{describe_hardware(torch.device('cpu'))}, {len(content):,} bytes", flush=True)
    alone, parts = predictor_times(arguments.model, content, arguments.rounds)
    print(f"predictor {1e3 * alone:.1f} ms, {alone / parts:.2f} times its parts", flush=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "hfcls", "demo", arguments.model, "--port", str(port)])
    try:
        return ask(server, f"http://127.0.0.1:{port}", arguments, alone)
    finally:
        server.terminate()
        server.wait()


def predictor_times(model: str, content: bytes, rounds: int) -> tuple[float, float]:
    """Median seconds of an answer of the predictor, and of what it cannot do without."""
    predictor, classifier = Predictor(model, device="cpu"), load_classifier(model)
    preprocessing, network = Preprocessing(classifier.image_processor), classifier.model.eval()

    def parts() -> None:
        image = decode_bytes(content, "picture").image
        with torch.inference_mode():
            network(pixel_values=preprocessing.normalize(preprocessing.pixels(image)[None])).logits.softmax(-1).tolist()

    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 5):
        for side, work in enumerate((lambda: predictor.predict(content).top(5), parts)):
            begun = time.perf_counter()
            work()
            if number >= 5:
                times[side].append(time.perf_counter() - begun)
    return statistics.median(times[0]), statistics.median(times[1])


def ask(server: subprocess.Popen, url: str, arguments: argparse.Namespace, alone: float) -> int:
    from gradio_client import Client, handle_file

    while not is_up(url):
        time.sleep(0.2)
    client = Client(url, verbose=False)
    taken = []
    for _ in range(25):
        begun = time.perf_counter()
        client.predict(image=handle_file(str(arguments.picture)), api_name="/predict")
        taken.append(time.perf_counter() - begun)
    through = statistics.median(taken[5:])
    print(f"through the page {1e3 * through:.0f} ms: {1e3 * (through - alone):.0f} more")
    answers, failures = [0] * arguments.users, []
    end = time.monotonic() + arguments.seconds

    def use(number: int) -> None:
        mine = Client(url, verbose=False)
        while time.monotonic() < end:
            try:
                mine.predict(image=handle_file(str(arguments.picture)), api_name="/predict")
                answers[number] += 1
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}")

    users = [Thread(target=use, args=(number,)) for number in range(arguments.users)]
    for user in users:
        user.start()
    memory = []
    while any(user.is_alive() for user in users):
        memory.append(resident(server.pid))
        time.sleep(1)
    for user in users:
        user.join()
    after = memory[10:] or memory
    print(f"{arguments.users} users: {sum(answers):,} answers in {arguments.seconds:.0f} s, {len(failures)} failed")
    print(*failures[:1])
    print(
        f"memory {memory[0]:.0f} MB at first, each ten seconds {[round(m) for m in memory[10::10]]}; from 10 s on "
        f"{min(after):.0f} to {max(after):.0f} MB"
    )
    return 1 if failures else 0


def is_up(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


def resident(pid: int) -> float:
    """Megabytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1e3


if __name__ == "__main__":
    sys.exit(main())
