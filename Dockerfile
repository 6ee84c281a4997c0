# `saliency serve` on a CPU:
#   docker build -t saliency .
#   docker run --rm -p 127.0.0.1:7860:7860 saliency
# The two pip commands and `saliency serve` were run in a fresh virtual environment (Python 3.11, torch from PyPI, as the
# index below was out of reach); no image was built from this file.
FROM python:3.12-slim

# torch without the libraries of GPUs, which would be most of the image
ARG TORCH=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir torch torchvision --index-url "$TORCH"

COPY . /src
RUN pip install --no-cache-dir '/src[serve]'

RUN useradd --create-home viewer
USER viewer
WORKDIR /home/viewer
EXPOSE 7860
ENTRYPOINT ["saliency"]
CMD ["serve", "--host", "0.0.0.0"]
