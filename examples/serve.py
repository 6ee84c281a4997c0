"""Start the page that measures videos and ask it over HTTP: `python examples/serve.py ad.mp4 out/`."""

import subprocess
import sys

from saliency.serve.client import Client


def main(path: str, out: str) -> None:
    """Let a server on this computer measure a video, download its report, and stop the server."""
    command = [sys.executable, "-m", "saliency", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[1]  # page: http://127.0.0.1:PORT  (Ctrl-C ends it)
            regions = {"left": [0, 0, 32, 48]}  # left, top, width, height in pixels
            numbers = Client(address).report(path, out, regions=regions, thumbnails=1)
        finally:
            server.terminate()
    print(f"left: {numbers['regions']['left']['attention']:.1%} of the attention; the report is in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
