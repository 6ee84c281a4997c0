.PHONY: check lint types test check-slow hostile fuzz docs notebooks release
check: lint types test

lint:
	ruff check .
	ruff format --check .

types:
	pyright

test:
	pytest

check-slow:
	pytest -m "slow or browser or tutorial"

MINUTES ?= 10

hostile:  # what tries to break it, counted by class
	python tests/hostile/count.py

fuzz:  # make fuzz MINUTES=60 goes on for an hour
	python tests/fuzz/fuzz.py $(MINUTES)

notebooks:  # run anew, with what comes out; needs the extra notebooks
	python notebooks/make.py

docs:  # the site, into build/site
	mkdocs build --strict

release:
	.ci/release
