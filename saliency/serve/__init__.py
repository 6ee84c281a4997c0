"""A page for people who would rather not type commands, and the same as an HTTP interface with its client.

A video is uploaded, looked at, measured when its turn comes, and removed with everything made of it after a while.
What is measured and written is `saliency.attention`'s; `saliency.commands.serve` starts it. `docs/serve.md` describes
the addresses.
"""
